"""A copy of the checkout for tests of what a newcomer types, and a port that is free."""

import shutil
import socket
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def copy_files(target: Path) -> Path:
    """Copy the files of the checkout as they are, but not what git ignores."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def make_clone(target: Path) -> Path:
    """Copy the files, and lend the copy the environments that make has set up here."""
    copy_files(target)
    _lend_environments(target)
    return target


def _lend_environments(target: Path) -> None:
    """Let the copy use what make has set up, as if it had done so itself: make changes nothing."""
    for folder, parts, stamps in (
        (".venv", ("bin", "lib", "pyvenv.cfg"), (".setup", ".run", ".dev")),
        ("node_modules", ("azurite",), (".installed",)),
    ):
        (target / folder).mkdir()
        for part in parts:
            (target / folder / part).symlink_to(ROOT / folder / part)
        for stamp in stamps:
            (target / folder / stamp).touch()


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])

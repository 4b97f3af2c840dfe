"""The README's commands, run as a newcomer would, in a copy of the checkout."""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Marked

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```sh *(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
READY = {
    "local_azure up": "until test -s local-azure.env; do sleep 0.1; done",
    "prefect server": "until python -c 'import socket, os; socket.create_connection("
    '("127.0.0.1", int(os.environ["PREFECT_SERVER_API_PORT"])))\' 2>/dev/null; do sleep 0.2; done',
    "prefect worker": "true",
}


def blocks(*kinds: str) -> Iterator[tuple[str, str]]:
    """Give the README's shell commands, one by one, with the kind of their block."""
    for kind, text in FENCE.findall((ROOT / "README.md").read_text()):
        if kind in kinds:
            yield from ((kind, line) for line in text.splitlines())


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the tracked files, with the environments that make has set up here."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    target = tmp_path / "clone"
    for name in filter(None, names.split("\0")):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
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


def script(port: int) -> str:
    """Write the README's commands as one shell script that stops at the first failure."""
    # With job control the background jobs do not inherit an ignored SIGINT, as in a terminal.
    lines = ["set -em"]
    for kind, command in blocks("", "background"):
        if kind == "background":
            ready = next(wait for text, wait in READY.items() if text in command)
            lines += [f"{command} >> background.log 2>&1 &", ready]
        else:
            lines.append(command)
    lines += ["echo all of it", "kill -INT $(jobs -p)", "wait"]
    return "\n".join(lines).replace("4200", str(port))


@pytest.mark.timeout(300)
def test_commands_without_azure_work(
    clone: Path, marked: Marked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command of the README that needs no Azure account does what it says."""
    port = free_port()
    monkeypatch.setenv("PREFECT_HOME", str(clone / "prefect-home"))
    monkeypatch.setenv("PREFECT_SERVER_API_PORT", str(port))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)

    with (clone / "script.log").open("w+") as log:
        shell = subprocess.Popen(
            ["bash", "-c", script(port)],
            cwd=clone,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            code = shell.wait(240)
        finally:
            left = marked.pids()
            subprocess.run(["kill", "-KILL", *map(str, left)], check=False, capture_output=True)
        log.seek(0)
        printed = log.read()

    assert "all of it\n" in printed, printed[-3000:]
    assert (code, left) == (0, [])
    assert "│ taskdata1.txt │ the   │ 44    │" in printed
    assert "Completed" in printed


def test_make_targets_exist() -> None:
    """The make targets that the README names are there; `make test` cannot run inside itself."""
    for _, command in blocks("check"):
        done = subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, check=False)
        assert done.returncode == 0, command


def test_links_lead_somewhere() -> None:
    """Every relative link of the README is a file of the project."""
    targets = re.findall(r"\]\((?!http)([^)#]+)", (ROOT / "README.md").read_text())
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []

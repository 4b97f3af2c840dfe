"""The output folder while a run is at work in it: one run at a time, as a lock file in it says.

The lock is the system's: it ends with the process, however that ends, and holds between all
processes that share the folder, as far as its file system has locks. Then the file is deleted.
"""

import errno
import fcntl
import os
import shlex
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from prefect_azure_batch.collecting.folder_names import fixed_part, placeholders_of
from prefect_azure_batch.errors import ConfigurationError, FolderInUse

LOCK_NAME = ".prefect-azure-batch.lock"
UNPACKING = ".unpacking-"
"""How the names of folders begin in which archives are unpacked."""
MOST_LOCK_BYTES = 300
# A look of another process, or the end of the run before, takes a moment.
PATIENCE_S = 0.5
PAUSE_S = 0.05
LOCKED = frozenset({errno.EWOULDBLOCK, errno.EACCES})
FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def check_output_dir(output_dir: str) -> None:
    """See whether a run could write into its output folder, and leave nothing there.

    Of a folder with placeholders, only what is above them is looked at.

    Raises:
        ConfigurationError: its name is not one, or it cannot be made or written to.
    """
    placeholders_of(output_dir)
    folder = fixed_part(output_dir)
    with _named_errors(folder):
        _probe(next(path for path in (folder, *folder.parents) if os.path.lexists(path)))


def check_not_in_use(output_dir: str) -> None:
    """See whether a run is at work in an output folder whose name has no placeholders.

    Raises:
        ConfigurationError: the folder cannot be written to.
        FolderInUse: there is one.
    """
    folder = fixed_part(output_dir)
    if placeholders_of(output_dir) or not os.path.lexists(folder / LOCK_NAME):
        return
    with _named_errors(folder), suppress(_NoLocksError):
        os.close(_locked(folder, output_dir))


def check_places(folder: Path, names: Iterable[str]) -> None:
    """See whether files can be written under these names, as far as folders are in the way.

    Args:
        folder: the output folder; it may be absent.
        names: relative to it.

    Raises:
        ConfigurationError: a name is that of a folder, or of a file where a folder must be.
    """
    if not folder.is_dir():
        return
    above: set[str] = set()
    for name in names:
        # Strings: of a hundred thousand outputs, Paths would take seconds.
        path = f"{folder}/{name}"
        if os.path.isdir(path):  # noqa: PTH112
            raise _in_the_way(folder, "folder", name)
        while (name := name.rpartition("/")[0]) and name not in above:
            above.add(name)
            path = f"{folder}/{name}"
            if os.path.lexists(path) and not os.path.isdir(path):  # noqa: PTH112
                raise _in_the_way(folder, "file", name)


def _in_the_way(folder: Path, what: str, name: str) -> ConfigurationError:
    return ConfigurationError(
        f"output_dir {str(folder)!r} has a {what} {name!r}, where an output or a log is to be: "
        "delete or rename it, or name another folder"
    )


@contextmanager
def taken(
    folder: Path, output_dir: str, run_name: str, warn: Callable[[str], object]
) -> Iterator[None]:
    """Have an output folder for one run alone; it is made if it is absent.

    A folder that was made here and is still empty is deleted at the end.

    Args:
        folder: absolute.
        output_dir: as it was given, for the error.
        run_name: whose.
        warn: is called with a sentence if the folder cannot be locked.

    Raises:
        ConfigurationError: the folder cannot be made or written to.
        FolderInUse: another run is at work in it.
    """
    lock: int | None = None
    made = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        with _named_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            _probe(folder)
            lock = _taken_lock(folder, output_dir, run_name, warn)
        yield
    finally:
        if lock is not None:
            _release(folder, lock)
        with suppress(OSError):
            for path in made:
                path.rmdir()


class _NoLocksError(Exception):
    """The file system has no locks."""


@contextmanager
def _named_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        name = Path(str(error.filename)).name
        what = f"{name}: {error.strerror}" if name == LOCK_NAME else error.strerror
        raise ConfigurationError(f"output_dir {str(folder)!r} is not writable: {what}") from error


def _probe(folder: Path) -> None:
    """Write a file that has no name."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x")


def _taken_lock(
    folder: Path, output_dir: str, run_name: str, warn: Callable[[str], object]
) -> int | None:
    try:
        lock = _locked(folder, output_dir)
    except _NoLocksError as error:
        warn(
            f"output_dir {str(folder)!r} cannot be locked ({error}): see to it that no other run "
            "has it, for example by {run} in its name"
        )
        return None
    try:
        _sign(lock, run_name)
        # What a run that was killed had begun to unpack.
        for path in folder.glob(f"{UNPACKING}*"):
            shutil.rmtree(path, ignore_errors=True)
    except BaseException:
        _release(folder, lock)
        raise
    return lock


def _locked(folder: Path, output_dir: str) -> int:
    """Return the descriptor of the lock file, locked, and still the one in the folder.

    Raises:
        FolderInUse: another run has it.
        OSError: it cannot be made.
        _NoLocksError: the file system has none.
    """
    path = folder / LOCK_NAME
    deadline = time.monotonic() + PATIENCE_S
    while True:
        lock, is_ours = _opened(path)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its last holder may have deleted it after it was opened here.
            if _is_at(path, lock) and (is_ours or not _is_deleted(path)):
                return lock
        except OSError as error:
            if error.errno not in LOCKED:
                raise _NoLocksError(error.strerror) from error
            if time.monotonic() > deadline:
                raise _in_use(folder, output_dir, _holder(lock)) from error
            time.sleep(PAUSE_S)
        os.close(lock)


def _in_use(folder: Path, output_dir: str, holder: str) -> FolderInUse:
    own = output_dir if "{run}" in output_dir else f"{output_dir.rstrip('/')}/{{run}}"
    return FolderInUse(
        f"output_dir {str(folder)!r} is in use by {holder or 'another run'}: wait until that one "
        f"has ended, or give each run a folder of its own, such as output_dir={own!r} "
        f"(--output-dir {shlex.quote(own)})"
    )


def _opened(path: Path) -> tuple[int, bool]:
    """Open the lock file; return its descriptor, and whether it can be written to.

    Raises:
        ConfigurationError: something else has its name.
        OSError: it cannot be made.
    """
    is_ours = True
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | FLAGS, 0o644)
    except PermissionError:
        if not path.exists():
            raise
        # Another user's: whether it is locked can still be seen.
        lock, is_ours = os.open(path, os.O_RDONLY | FLAGS), False
    if not stat.S_ISREG(os.fstat(lock).st_mode):
        os.close(lock)
        raise ConfigurationError(f"{str(path)!r} is not a file: delete it")
    return lock, is_ours


def _is_at(path: Path, lock: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(lock))
    except FileNotFoundError:
        return False


def _is_deleted(path: Path) -> bool:
    """Delete the file that another user has left, if that is allowed."""
    with suppress(PermissionError):
        path.unlink()
        return True
    return False


def _holder(lock: int) -> str:
    """Return what the holder of a lock has written; empty if the system does not show it."""
    try:
        text = os.pread(lock, MOST_LOCK_BYTES, 0).decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(lock)
    return "".join(char for char in text if char.isprintable())


def _sign(lock: int, run_name: str) -> None:
    """Write who has the folder, for the error that others get."""
    now = datetime.now(UTC)
    text = f"run {run_name}, process {os.getpid()} on {socket.gethostname()}, since {now:%F %T} UTC"
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{text}\n".encode(), 0)
    except OSError as error:
        # Another user's file that must not be deleted either.
        if error.errno not in {errno.EBADF, errno.EINVAL}:
            raise


def _release(folder: Path, lock: int) -> None:
    # Before it is unlocked: whoever locks it afterwards sees that it is not in the folder any more.
    with suppress(OSError):
        (folder / LOCK_NAME).unlink()
    os.close(lock)

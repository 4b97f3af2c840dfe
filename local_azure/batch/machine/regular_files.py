"""Regular files, opened so that nothing that a task put in their place holds the emulator up.

To open a FIFO waits for its other end, and even without waiting it would wake who waits there;
to open a device may do anything. So what is not a regular file is not opened at all, and the flags
are for what takes a file's place in between.
"""

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import IO

_FLAGS = os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC


def check_regular(path: Path, mode: int) -> None:
    """Check the mode of a file.

    Raises:
        OSError: EINVAL, it is a FIFO, a device, a socket, a link or a folder.
    """
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))


def open_to_read(path: Path) -> IO[bytes]:
    """Open a regular file; a link is not followed.

    Raises:
        OSError: it is not there, is not a regular file, or cannot be read.
    """
    check_regular(path, path.lstat().st_mode)
    return _opened(path, os.O_RDONLY, "rb")


def open_to_write(path: Path, mode: int) -> IO[bytes]:
    """Open a new regular file, or empty the one that is there; give it its mode.

    Raises:
        OSError: what is there is not a regular file, or cannot be written.
    """
    with contextlib.suppress(FileNotFoundError):
        check_regular(path, path.lstat().st_mode)
    file = _opened(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, "wb")
    os.fchmod(file.fileno(), mode)
    return file


def _opened(path: Path, flags: int, python_mode: str) -> IO[bytes]:
    file: IO[bytes] = os.fdopen(os.open(path, flags | _FLAGS, 0o600), python_mode)
    try:
        check_regular(path, os.fstat(file.fileno()).st_mode)
    except OSError:
        file.close()
        raise
    return file

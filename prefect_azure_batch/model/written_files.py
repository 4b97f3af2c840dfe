"""Which files a run has written into its output folder, and whether they are still the same."""

import hashlib
import os
import struct
from pathlib import Path


class WrittenFiles:
    """The outputs of a run on this machine, by path; several threads add to them."""

    def __init__(self) -> None:
        # A hundred thousand are some megabytes.
        self._files: dict[str, bytes] = {}

    def add(self, path: Path, status: os.stat_result, md5: bytes) -> None:
        """Note a file.

        Args:
            path: where it is, or will be: it may still be moved there.
            status: its own, from before its content was read last, or after it was written.
            md5: digest of its content.
        """
        self._files[str(path)] = _state(status) + md5

    def replaced(self) -> list[str]:
        """Return the paths of files that are gone, or have other content than this run wrote."""
        return [path for path, noted in self._files.items() if not _is_same(path, noted)]


def md5_of(path: Path) -> bytes:
    """Return the digest of a file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, _md5).digest()


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)


def _is_same(path: str, noted: bytes) -> bool:
    state, md5 = noted[: _STATE.size], noted[_STATE.size :]
    try:
        # Some file systems number their files anew, or change their times afterwards.
        return _state(os.stat(path)) == state or md5_of(Path(path)) == md5  # noqa: PTH116 - no Path per file
    except OSError:
        return False


_STATE = struct.Struct("<QQq")


def _state(status: os.stat_result) -> bytes:
    return _STATE.pack(status.st_ino, status.st_size, status.st_mtime_ns)

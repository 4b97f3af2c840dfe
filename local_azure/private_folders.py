"""Folders that only their owner can look into: they hold live SAS, keys, and what tasks write."""

import os
import stat
import sys
from collections.abc import Collection
from pathlib import Path

from local_azure.service import LocalAzureError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_private(folder: Path, marks: Collection[str]) -> None:
    """Make a folder with mode 0700, or narrow the one that is there.

    Args:
        folder: the folder; those above it are made as usual.
        marks: what a former emulator has left in its folder. One that is open to others and has
            none of it, nor is empty, is somebody's, perhaps /tmp, and keeps its mode.

    Raises:
        LocalAzureError: it is open to others and cannot be narrowed, or should not be.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        _narrow(folder, marks)
    # Neither can be known before: a default ACL, a file system without modes.
    if folder.stat().st_mode & _OTHERS:
        raise LocalAzureError(
            f"{folder} stays open to others (mode {_mode(folder)}) though it was made 0700: name a "
            "folder on another file system, since this one would hold keys and signed URLs"
        )


def _mode(folder: Path) -> str:
    return f"{stat.S_IMODE(folder.stat().st_mode):04o}"


def _narrow(folder: Path, marks: Collection[str]) -> None:
    if not folder.is_dir():
        raise LocalAzureError(f"{folder} is not a folder")
    mode = _mode(folder)
    if not folder.stat().st_mode & _OTHERS:
        return
    names = sorted(path.name for path in folder.iterdir())
    is_ours = not names or any((folder / mark).exists() for mark in marks)
    if not is_ours or folder.stat().st_mode & stat.S_ISVTX:
        raise LocalAzureError(
            f"{folder} is open to others (mode {mode}) and is not a folder of the emulator's own "
            f"(it holds {', '.join(map(repr, names[:3]))}): name a new folder, or chmod 700 this "
            "one if it is for the emulator, since it would hold keys and signed URLs"
        )
    try:
        folder.chmod(0o700)
    except OSError as error:
        raise LocalAzureError(
            f"{folder} is open to others (mode {mode}) and cannot be narrowed to 0700 "
            f"({os.strerror(error.errno or 0)}): name a folder of your own"
        ) from error
    sys.stderr.write(f"{folder} was open to others (mode {mode}); it is 0700 now\n")

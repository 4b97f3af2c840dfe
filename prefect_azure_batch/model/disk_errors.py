"""Files that a run writes on this machine: an error names the file."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect_azure_batch.errors import ConfigurationError

# The disk's; a connection that breaks meanwhile is an OSError, too.
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file that is written in the block if the disk does not take it.

    What Python raises when a disk is full says which file only if it was to be opened.

    Raises:
        ConfigurationError: the disk is full, or broken; the message says what to do.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK:
            raise
        raise ConfigurationError(not_written(path, error)) from error


def not_written(path: Path, error: OSError) -> str:
    """Return what an error says of a file that could not be written."""
    return (
        f"output_dir took no file {str(path)!r}: {error.strerror}; make room there, or name "
        "another folder"
    )

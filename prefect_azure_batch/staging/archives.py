"""What is uploaded, and its content: files as they are, and archives of many small ones.

An archive is a plain tar without times and owners: equal inputs make equal bytes, so that one
that is there already is recognised. It is never held in memory.
"""

import errno
import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from prefect_azure_batch.errors import BadInput, ConfigurationError
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.tasks import FileOnDisk, InputFile, Level, Upload
from prefect_azure_batch.model.workload import Workload

# Larger archives go to a file; several are made at once.
MOST_IN_MEMORY = 256 * 1024
_md5 = partial(hashlib.md5, usedforsecurity=False)


def uploads_of(
    run: Run,
    workload: Workload[Any],
    inputs: Sequence[InputFile],
    levels: Sequence[Level],
) -> list[Upload]:
    """Return all that the nodes read and that is on this machine: first what every node gets."""
    return [*workload.node_files(run), *workload.uploads(run, inputs, levels[0])]


@contextmanager
def opened(upload: Upload) -> Iterator[IO[bytes]]:
    """Open what is uploaded for reading; an archive is made for it.

    Raises:
        BadInput: a file cannot be read, or became shorter since it was found.
        ConfigurationError: no room for the archive.
    """
    try:
        if isinstance(upload.content, bytes):
            yield io.BytesIO(upload.content)
        elif isinstance(upload.content, Path):
            with upload.content.open("rb") as file:
                yield file
        else:
            with tempfile.SpooledTemporaryFile(MOST_IN_MEMORY) as archive:
                write_archive(upload.content, archive)
                archive.seek(0)
                yield archive
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            folder = tempfile.gettempdir()
            raise ConfigurationError(
                f"no room in {folder!r} for the archive that becomes blob {upload.place.name!r}: "
                "make some, or set TMPDIR to another folder"
            ) from error
        raise BadInput(f"cannot read what becomes blob {upload.place.name!r}: {error}") from error


def write_archive(sources: Iterable[FileOnDisk], to: IO[bytes]) -> None:
    """Write files of this machine into an archive, under their names.

    Raises:
        OSError: a file cannot be read, or became shorter meanwhile.
    """
    with tarfile.open(fileobj=to, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8") as archive:
        for source in sources:
            if source.path is not None:
                with Path(source.path).open("rb") as file:
                    member = tarfile.TarInfo(source.name)
                    member.size = os.fstat(file.fileno()).st_size
                    archive.addfile(member, file)
                    # A kilobyte for each file, only of use for reading.
                    archive.getmembers().clear()


def md5_of(file: IO[bytes]) -> bytes:
    """Return the digest of a file that is read from its beginning, and go back there."""
    digest = hashlib.file_digest(file, _md5).digest()  # type: ignore[arg-type]
    file.seek(0)
    return digest


def readable_size(num_bytes: int) -> str:
    """Return a number of bytes for people, such as `1.5 MB`."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if num_bytes >= unit:
            return f"{num_bytes / unit:,.1f} {name}"
    return f"{num_bytes} bytes"

"""What is uploaded: files, archives of many small ones, and the lists of what is in those.

An archive is a plain tar without times and owners: equal inputs make equal bytes, so that one
that is there already is recognised. It is never held in memory.
"""

import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from flows.word_count.packing import archive_of, manifest_of, place_of
from prefect_azure_batch.errors import BadInput
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.tasks import BlobPlace, InputFile, PlannedTask

# Larger archives go to a file; several are made at once.
MOST_IN_MEMORY = 256 * 1024
_md5 = partial(hashlib.md5, usedforsecurity=False)


@dataclass(frozen=True, slots=True)
class Upload:
    """A blob to be written.

    Attributes:
        place: where to.
        content: a file, a text, or the files of this machine that are put into an archive.
        size: bytes, an archive's headers left out.
    """

    place: BlobPlace
    content: Path | bytes | tuple[InputFile, ...]
    size: int


def uploads_of(
    run: Run,
    programs: Iterable[Path],
    inputs: Iterable[InputFile],
    planned: Iterable[PlannedTask],
) -> list[Upload]:
    """Return all that the nodes read and that is on this machine.

    Args:
        run: names the containers.
        programs: what runs on the nodes.
        inputs: what is counted; those in Blob Storage are there already.
        planned: the batch tasks; the inputs of bundles are uploaded in their archives.
    """
    files = {source.name: source for source in inputs if source.path}
    uploads = []
    for item in planned:
        places = {file.blob for file in item.files}
        if (place := manifest_of(run, item.id)) in places:
            text = manifest(item.inputs)
            uploads.append(Upload(place, text, len(text)))
        if (place := archive_of(run, item.id)) in places:
            sources = tuple(files.pop(name) for name in item.inputs)
            uploads.append(Upload(place, sources, sum(source.size for source in sources)))
    own = [
        Upload(place_of(run, source), Path(source.path), source.size)
        for source in files.values()
        if source.path
    ]
    application = [
        Upload(BlobPlace(run.application_container, path.name), path, path.stat().st_size)
        for path in programs
    ]
    return [*application, *uploads, *own]


def manifest(names: Iterable[str]) -> bytes:
    """Return the list of a bundle's inputs, as the node program reads it."""
    return "".join(f"{json.dumps({'filepath': name})}\n" for name in names).encode()


@contextmanager
def opened(upload: Upload) -> Iterator[IO[bytes]]:
    """Open what is uploaded for reading; an archive is made for it.

    Raises:
        BadInput: a file cannot be read, or became shorter since it was found.
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
        raise BadInput(f"cannot read what becomes blob {upload.place.name!r}: {error}") from error


def write_archive(sources: Iterable[InputFile], to: IO[bytes]) -> None:
    """Write files of this machine into an archive, under their names as inputs.

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

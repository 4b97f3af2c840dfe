"""Bundles: many inputs in one archive there, their outputs and exit records in one back."""

import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from shutil import copyfileobj
from typing import IO

from flows.word_count.output_names import words_name_of
from flows.word_count.packing import archive_of, manifest_of
from prefect_azure_batch import (
    ExitRecord,
    InputFile,
    Level,
    OutputDamaged,
    PlannedTask,
    Run,
    Upload,
    upload_of,
    without_sas,
)

# A record has some hundred bytes; a bundle, some thousand inputs at most.
MOST_RECORD_BYTES = 64 * 1024**2


def uploads_of(run: Run, inputs: Iterable[InputFile], level: Level) -> list[Upload]:
    """Return what the batch tasks read that is on this machine: bundles, lists, other inputs."""
    files = {source.name: source for source in inputs if source.path}
    uploads = []
    for planned in level:
        places = {file.blob for file in planned.files}
        if (place := manifest_of(run, planned.id)) in places:
            text = manifest(planned)
            uploads.append(Upload(place, text, len(text)))
        if (place := archive_of(run, planned.id)) in places:
            sources = tuple(files.pop(name) for name in planned.inputs)
            uploads.append(Upload(place, sources, sum(source.size for source in sources)))
    return [*uploads, *(upload_of(run, source) for source in files.values())]


def manifest(planned: PlannedTask) -> bytes:
    """Return the list of a bundle's inputs and outputs, as the node program reads it."""
    # In an archive they bear their names; on the node's disk they lie where the files are put.
    _, *files = planned.files
    paths = planned.inputs if planned.unpacks_to else [file.file_path for file in files]
    outputs = planned.unpacks_to or planned.results
    entries = (
        {"filepath": path, "output": output} for path, output in zip(paths, outputs, strict=True)
    )
    return "".join(f"{json.dumps(entry)}\n" for entry in entries).encode()


def unpack(archive: Path, inputs: Sequence[str], folder: Path) -> list[ExitRecord]:
    """Write the outputs of an archive into a folder; files of other names are left in it.

    Returns:
        How each input ended, in their order; those that succeeded have their file.

    Raises:
        OutputDamaged: it is not an archive, or a record or an output is not there.
    """
    expected = {words_name_of(name): folder / words_name_of(name) for name in inputs}
    for path in expected.values():
        path.unlink(missing_ok=True)
    records: dict[str, ExitRecord] = {}
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                if member.issparse():
                    # Some bytes of it may stand for terabytes; the node program makes none.
                    raise OutputDamaged(f"{member.name!r} in the archive is a sparse file")
                if member.isreg() and member.name in expected:
                    _write(tar, member, expected[member.name])
                elif member.isreg() and member.name.endswith("_EXITS.jsonl"):
                    records |= {record.name: record for record in _records(tar, member)}
    # A damaged header of a sparse member is a ValueError of tarfile.
    except (tarfile.TarError, ValueError) as error:
        raise OutputDamaged(f"the archive is damaged: {error}") from error
    return _checked(inputs, records, folder)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    partial = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with partial.open("wb") as file:
            copyfileobj(_stream(tar, member), file)
        partial.replace(path)
    except OSError as error:
        # Of a full disk, Python does not say which file it was.
        error.filename = error.filename or str(path)
        raise
    finally:
        partial.unlink(missing_ok=True)


def _stream(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(member)
    if stream is None:
        raise OutputDamaged(f"{member.name!r} in the archive is not a file")
    return stream


def _records(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[ExitRecord]:
    if member.size > MOST_RECORD_BYTES:
        raise OutputDamaged(f"{member.name!r} in the archive is too large for exit records")
    for line in _stream(tar, member):
        try:
            fields = json.loads(line)
            reason = without_sas(str(fields["reason"]))
            yield ExitRecord(str(fields["filepath"]), int(fields["exit_code"]), reason)
        except (ValueError, TypeError, KeyError) as error:
            shown = without_sas(repr(line[:200]))
            raise OutputDamaged(f"{shown} in the archive is not an exit record") from error


def _checked(
    inputs: Sequence[str], records: dict[str, ExitRecord], folder: Path
) -> list[ExitRecord]:
    for name in inputs:
        if name not in records:
            raise OutputDamaged(f"the archive has no exit record of input {name!r}")
        path = folder / words_name_of(name)
        if records[name].exit_code:
            path.unlink(missing_ok=True)
        elif not path.is_file():
            raise OutputDamaged(f"the archive lacks {path.name!r}")
    return [records[name] for name in inputs]

"""What comes back of a bundle: an archive of outputs and exit records, one file per good input."""

import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj
from typing import IO

from prefect_azure_batch.errors import OutputDamaged, without_sas
from prefect_azure_batch.model.tasks import output_name_of

# A record has some hundred bytes; a bundle, some thousand inputs at most.
MOST_RECORD_BYTES = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class ExitRecord:
    """How one input of a bundle ended.

    Attributes:
        name: the input's.
        exit_code: as the node program's for this input alone.
        reason: why it failed, without signatures; empty after a success.
    """

    name: str
    exit_code: int
    reason: str


def unpack(archive: Path, inputs: Sequence[str], folder: Path) -> list[ExitRecord]:
    """Write the outputs of an archive into a folder; files of other names are left in it.

    Returns:
        How each input ended, in their order; those that succeeded have their file.

    Raises:
        OutputDamaged: it is no archive, or a record or an output is not there.
    """
    expected = {output_name_of(name): folder / output_name_of(name) for name in inputs}
    for path in expected.values():
        path.unlink(missing_ok=True)
    records: dict[str, ExitRecord] = {}
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                if member.isreg() and member.name in expected:
                    _write(tar, member, expected[member.name])
                elif member.isreg() and member.name.endswith("_EXITS.jsonl"):
                    records |= {record.name: record for record in _records(tar, member)}
    except tarfile.TarError as error:
        raise OutputDamaged(f"the archive is damaged: {error}") from error
    return _checked(inputs, records, folder)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("wb") as file:
            copyfileobj(_stream(tar, member), file)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _stream(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(member)
    if stream is None:
        raise OutputDamaged(f"{member.name!r} in the archive is no file")
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
            told = without_sas(repr(line[:200]))
            raise OutputDamaged(f"{told} in the archive is no exit record") from error


def _checked(
    inputs: Sequence[str], records: dict[str, ExitRecord], folder: Path
) -> list[ExitRecord]:
    for name in inputs:
        if name not in records:
            raise OutputDamaged(f"the archive has no exit record of input {name!r}")
        path = folder / output_name_of(name)
        if records[name].exit_code:
            path.unlink(missing_ok=True)
        elif not path.is_file():
            raise OutputDamaged(f"the archive lacks {path.name!r}")
    return [records[name] for name in inputs]

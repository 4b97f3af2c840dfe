"""Bundles: archives that hold the inputs of a manifest, and those that take the results."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

from word_counter.output import blob_name
from word_counter.refusals import ExitCode, Refusal, refused
from word_counter.texts import count_stream

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from word_counter.counting import CountSettings
    from word_counter.vocabulary import Vocabulary


class Bundle:
    """An archive that holds inputs; nothing of it is written to the disk."""

    def __init__(self, path: str) -> None:
        with refused(ExitCode.INPUT, f"bundle {path!r}"):
            try:
                self.archive = tarfile.open(path, "r:")  # noqa: SIM115 - as long as the process
                self.members = {member.name: member for member in self.archive.getmembers()}
            # A damaged header of a sparse member is a ValueError of tarfile.
            except (tarfile.TarError, ValueError) as error:
                raise Refusal(ExitCode.INPUT, f"bundle {path!r}: no plain tar archive") from error

    def count(self, name: str, settings: CountSettings) -> Vocabulary:
        """Count the words of a member.

        Raises:
            Refusal: it is not there, not a file or not text, or the disk is full.
        """
        member = self.members.get(name)
        # Some bytes of a sparse member may stand for terabytes.
        is_plain = member is not None and member.isreg() and not member.issparse()
        stream = self.archive.extractfile(member) if member and is_plain else None
        if stream is None:
            raise Refusal(ExitCode.INPUT, f"input {name!r}: no such file in the bundle")
        try:
            with refused(ExitCode.INPUT, f"input {name!r}"):
                return count_stream(stream, name, settings)  # type: ignore[arg-type]
        except tarfile.ReadError as error:
            raise Refusal(ExitCode.INPUT, f"input {name!r}: the bundle is cut off") from error


def write_archive(archive: Path, files: Iterable[Path]) -> None:
    """Put files into a plain tar archive; folders of the working directory are kept.

    Raises:
        OSError: a file cannot be read, or the archive not written.
    """
    with tarfile.open(archive, "w") as tar:
        for path in files:
            tar.add(path, blob_name(path))

"""Output files: the most frequent words and which batch task counted them; their upload."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from word_counter.refusals import ExitCode, refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from word_counter.storage import Location
    from word_counter.tokenizer import Definition
    from word_counter.vocabulary import Vocabulary

RULE = "-" * 30
# Suffixes that an output must not have: it is plain text.
COMPRESSED = (
    *(".gz", ".gzip", ".tgz", ".z", ".bz2", ".tbz2", ".xz", ".txz", ".lzma"),
    *(".zst", ".zstd", ".lz4", ".lz", ".br", ".zip", ".7z", ".rar"),
)


class Targets(NamedTuple):
    """Where the results of one input go; without `counts` there is only the output."""

    output: Path
    counts: Path | None = None

    @property
    def files(self) -> list[Path]:
        """The files, the output last: where it is, all is."""
        return [self.counts, self.output] if self.counts else [self.output]


def default_output(file_path: str) -> Path:
    """Return where the output goes if it is not named: the working directory.

    It is plain text, also if the name of the input says that this is compressed.
    """
    name = "stdin.txt" if file_path == "-" else Path(file_path).name
    stem, extension = os.path.splitext(name)  # noqa: PTH122 - Path.suffix differs in Python 3.14
    if extension.lower() in COMPRESSED:
        return Path(f"{name}_OUTPUT.txt")
    return Path(f"{stem}_OUTPUT{extension}")


def blob_name(path: Path) -> str:
    """Return what a file is called where it goes: its folders in the working directory are kept."""
    is_below = not path.is_absolute() and ".." not in path.parts
    return path.as_posix() if is_below else path.name


def range_output(bounds: tuple[int, int | None]) -> Path:
    """Return where the output of a range goes if it is not named."""
    first, last = bounds
    return Path(f"range_{first:020}-{'' if last is None else f'{last:020}'}_OUTPUT.txt")


def write(vocabulary: Vocabulary, definition: Definition, num_words: int, targets: Targets) -> None:
    """Write the counts file, if one is wanted, and the output file.

    Raises:
        Refusal: a file cannot be written.
    """
    if targets.counts:
        from word_counter.counts_file import write_counts
        from word_counter.vocabulary import MostFrequent

        best = MostFrequent(num_words)
        batches = best.watch(vocabulary.batches())
        write_counts(targets.counts, definition, batches, vocabulary.undecodable)
        top = best.words()
    else:
        top = vocabulary.most_frequent(num_words)
    body = render(top, vocabulary.undecodable)
    with refused(ExitCode.OUTPUT, f"output {str(targets.output)!r}"):
        targets.output.write_bytes(body)


def upload_files(container: Location | None, paths: Iterable[Path]) -> None:
    """Upload files, if there is a container; folders of the working directory are kept.

    Raises:
        Refusal: an upload failed.
    """
    if container:
        from word_counter.upload import upload

        for path in paths:
            upload(container, blob_name(path), path)


def render(top: Iterable[tuple[bytes, int]], undecodable: int = 0) -> bytes:
    """Return the output file: the words, then the ids that Batch gives to the task.

    The last line says how many bytes of the input could not be decoded, if there are any.
    """
    words = b"".join(b"%b\t%d\n" % entry for entry in top)
    lines = [RULE]
    for name in ("Node", "Task", "Job", "Pool"):
        value = os.environ.get(f"AZ_BATCH_{name.upper()}_ID", "")
        lines.append(f"{name}: {' '.join(value.split()) or '-'}")
    if undecodable:
        lines.append(f"Undecodable bytes: {undecodable}")
    ids = "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
    return f"Word\tCount\n{RULE}\n".encode() + words + ids

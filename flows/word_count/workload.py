"""The workload: the most frequent words of each input, and if asked for those of all together."""

import hashlib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from flows.word_count import bundles, program
from flows.word_count.encodings import can_be_cut
from flows.word_count.kinds import why_no_text
from flows.word_count.merging import plan_levels
from flows.word_count.output_files import read_result
from flows.word_count.output_names import words_name_of
from flows.word_count.packing import is_split, is_too_large, plan_batch_tasks
from flows.word_count.result import Result
from flows.word_count.settings import DEFAULT_NUM_WORDS, CountSettings
from prefect_azure_batch import (
    BadInput,
    ExitRecord,
    InputFile,
    Level,
    PlannedTask,
    PoolSettings,
    Run,
    Upload,
    Workload,
)

# What batch tasks leave for others bears these names, or is made of them.
RESERVED = re.compile(
    r"(?i)(bundles/)?bundle\d+\.(tar|jsonl)|topntask\d+-(part\d+|merge\d+-\d+)\.txt|total-\d+-\d+\.txt"
)
# They change how long the counting takes, not what comes of it.
WITHOUT_EFFECT = frozenset({"--delay", "--slots"})


@dataclass(frozen=True)
class WordCount(Workload[Result]):
    """Counting words with the program in `tasks_node/`.

    Attributes:
        num_words: how many words each output has, at least 1.
        settings: how inputs are packed or split, whether they are added up, and the delay.
    """

    name: ClassVar[str] = "top-words"
    # The program itself uploads what it writes.
    output_url_variable: ClassVar[str | None] = "TOP_WORDS_CONTAINER_URL"
    input_kind: ClassVar[str] = "text file"
    # Binary files may begin with as much text; reading it takes a fraction of a millisecond.
    head_bytes: ClassVar[int] = 1024**2

    num_words: int = DEFAULT_NUM_WORDS
    settings: CountSettings = field(default_factory=CountSettings)

    def check(self) -> None:
        """Compile the program, and check its accelerators."""
        program.check_program()

    def refusal(self, head: bytes) -> str:
        """Refuse what is not text, compressed or not, and say what it is instead."""
        return why_no_text(head, self.settings.encoding)

    def blobs_to_examine(self, blobs: Sequence[InputFile]) -> Sequence[InputFile]:
        """Return all: of what is not text none may be counted, wherever it is."""
        return blobs

    def is_reserved(self, name: str) -> bool:
        """Tell whether a batch task leaves something of this name for others."""
        return RESERVED.fullmatch(name) is not None

    def node_files(self, run: Run) -> Sequence[Upload]:
        """Return the program as one archive."""
        return [program.program_upload(run)]

    def set_up(self, folder: str) -> Sequence[str]:
        """Return the commands that unpack the program beside its place; it appears there whole."""
        place = f"{folder}/{program.FOLDER}"
        return [
            f"if [ ! -d {place} ]",
            f"then new=$(mktemp -d {folder}/.new-XXXXXX)",
            f'tar -xf {program.ARCHIVE} -C "$new"',
            f'mv -- "$new" {place}',
            # Where another was faster, mv has put this one into it.
            f'rm -rf -- {place}/"${{new##*/}}"',
            "fi",
        ]

    def plan(self, run: Run, inputs: Sequence[InputFile], pool: PoolSettings) -> Sequence[Level]:
        """Plan the batch tasks that count, then those that add up what others counted.

        Raises:
            BadInput: two inputs would have one output.
        """
        _check_outputs(inputs)
        planned = plan_batch_tasks(run, inputs, self.num_words, self.settings, pool)
        return plan_levels(run, planned, self.num_words, wants_total=self.settings.total)

    def plan_rows(self, inputs: Sequence[InputFile]) -> Mapping[str, str]:
        """Return which inputs are larger than a part may be, and cannot be split."""
        names = [
            source.name
            for source in inputs
            if is_too_large(source, self.settings) and not is_split(source, self.settings)
        ]
        if not names:
            return {}
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        encoding = self.settings.encoding
        reason = "compressed" if can_be_cut(encoding) else f"text in {encoding}"
        return {"counted whole": f"{names[0]}{more}, cannot be split: {reason}"}

    def uploads(self, run: Run, inputs: Sequence[InputFile], level: Level) -> Sequence[Upload]:
        """Return the archives and lists of bundles, and each other input as it is."""
        return bundles.uploads_of(run, inputs, level)

    def commands(self, planned: PlannedTask, folder: str) -> Sequence[str]:
        """Return the program's command, and before it that for the folder of its one output."""
        path = f"{folder}/{program.FOLDER}/{program.SCRIPT}"
        output_folder = planned.results[0].rpartition("/")[0] if len(planned.results) == 1 else ""
        makes_folder = [f"mkdir -p -- {shlex.quote(output_folder)}"] if output_folder else []
        return [*makes_folder, f"python3 {path} {shlex.join(planned.arguments)}"]

    def trusts(self, size: int, md5: bytes) -> bool:
        """Tell whether the program has sent an output whole.

        It is never empty and has an MD5, which the program sends with each of its files, and the
        service compares.
        """
        return bool(size and md5)

    def unpack(self, planned: PlannedTask, archive: Path, folder: Path) -> Sequence[ExitRecord]:
        """Write the outputs of a bundle into the folder."""
        return bundles.unpack(archive, planned.inputs, folder)

    def result(self, folder: Path, inputs: Sequence[InputFile], levels: Sequence[Level]) -> Result:  # noqa: ARG002 - each input has an output of its name
        """Return the words of each input, and the total if it was asked for."""
        return read_result(folder, inputs, has_total=self.settings.total)

    def fingerprint(self, levels: Sequence[Level]) -> bytes:
        """Return a digest of the program and of the arguments that change what it finds."""
        digest = hashlib.sha256(program.program_digest())
        for planned in (planned for level in levels for planned in level):
            digest.update(repr(list(_effective(planned.arguments))).encode())
        return digest.digest()


def _effective(arguments: Sequence[str]) -> Iterable[str]:
    for previous, argument in zip(("", *arguments), arguments, strict=False):
        if argument not in WITHOUT_EFFECT and previous not in WITHOUT_EFFECT:
            yield argument


def _check_outputs(inputs: Sequence[InputFile]) -> None:
    taken: dict[str, str] = {}
    for source in inputs:
        output = words_name_of(source.name)
        other = taken.setdefault(output, source.name)
        if other != source.name:
            raise BadInput(
                f"inputs {other!r} and {source.name!r} would both have the output {output!r}: "
                "rename one of them, or leave it out by selection.exclude"
            )

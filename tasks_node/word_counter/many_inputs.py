"""Many inputs in one run: they are dealt to the processes, and each has its exit record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from word_counter.encodings import report_undecodable
from word_counter.manifest import read_manifest
from word_counter.output import upload_files, write
from word_counter.processes import in_processes
from word_counter.refusals import ExitCode, Refusal, as_refusal, refused
from word_counter.texts import count_file
from word_counter.vocabulary import Vocabulary

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from typing import Any

    from word_counter.counting import CountSettings
    from word_counter.manifest import Entry
    from word_counter.storage import Location
    from word_counter.tokenizer import Definition
    from word_counter.vocabulary import Portable

    ExitRecords = list[dict[str, Any]]


def count_manifest(
    options: argparse.Namespace, container: Location | None, settings: CountSettings
) -> str:
    """Count many inputs; write and upload what comes of each, their sum, and the exit records.

    Returns:
        A warning, or nothing.

    Raises:
        Refusal: inputs failed, or the sum or the records cannot be written or uploaded.
    """
    entries = read_manifest(options.manifest, [options.counts] if options.counts else [])
    number = max(1, min(settings.processes, len(entries)))
    # Each process holds the words of one input and, if it is wanted, the sum of those before.
    alone = settings.shared(number * (2 if options.counts else 1))
    alone = alone._replace(processes=max(1, settings.processes // number))

    def work(part: int) -> tuple[ExitRecords, Portable]:
        share = Share(options, container, alone)
        return [share.count(entry) for entry in entries[part::number]], share.total.portable()

    with in_processes(work, range(1, number)) as children:
        dealt = [work(0), *[child.result() for child in children]]
    records = [dealt[at % number][0][at // number] for at in range(len(entries))]
    if options.counts:
        total = Vocabulary(settings.folder, settings.most_weight)
        for _, part_of_total in dealt:
            total.take(*part_of_total)
        write_sum(options.counts, container, settings.definition, total)
    last = write_records(options, entries, records)
    upload_files(container, [last])
    refuse_failures(records)
    return warning_of(records)


def warning_of(records: ExitRecords) -> str:
    """Return a warning that bytes of inputs could not be decoded; empty if all could."""
    warnings: list[str] = [record["warning"] for record in records if "warning" in record]
    if len(warnings) < 2:  # noqa: PLR2004 - it says all itself
        return "".join(warnings)
    return f"{len(warnings)} of {len(records)} inputs have undecodable bytes; {warnings[0]}"


def write_sum(
    path: Path, container: Location | None, definition: Definition, total: Vocabulary
) -> None:
    """Write the counts file of all inputs together, and upload it.

    Raises:
        Refusal: it cannot be written or uploaded.
    """
    from word_counter.counts_file import write_counts

    write_counts(path, definition, total.batches(), total.undecodable)
    upload_files(container, [path])


class Share:
    """The inputs that one process counts, one after the other, and their sum if it is wanted."""

    def __init__(
        self, options: argparse.Namespace, container: Location | None, settings: CountSettings
    ) -> None:
        self.settings = settings
        self.num_words: int = options.numwords
        # With a bundle the outputs are uploaded in one archive.
        self.container = None if options.bundle else container
        self.count_input = inputs_of(options.bundle)
        self.is_summed = bool(options.counts)
        self.total = Vocabulary(settings.folder, settings.most_weight)

    def count(self, entry: Entry) -> dict[str, Any]:
        """Count one input and return its exit record."""
        exit_code, reason, warning = ExitCode.OK, "", ""
        try:
            warning = self.work_on(entry)
        except Exception as error:  # noqa: BLE001 - it is in the record; the others are counted
            refusal = as_refusal(error)
            exit_code, reason = refusal.exit_code, str(refusal)
        return {
            "filepath": entry.file_path,
            "output": str(entry.targets.output),
            "exit_code": int(exit_code),
            "reason": reason,
            **({"warning": warning} if warning else {}),
        }

    def work_on(self, entry: Entry) -> str:
        """Count one input, write its files and upload them; return a warning, or nothing.

        Raises:
            Refusal: one of the steps cannot be done.
        """
        how = self.settings
        vocabulary = self.count_input(entry.file_path, how)
        warning = report_undecodable(
            vocabulary.undecodable, entry.file_path, how.encoding, is_strict=how.is_strict
        )
        with refused(ExitCode.OUTPUT, f"output {str(entry.targets.output)!r}"):
            for file in entry.targets.files:
                file.parent.mkdir(parents=True, exist_ok=True)
        write(vocabulary, how.definition, self.num_words, entry.targets)
        if self.is_summed:
            self.total.take(*vocabulary.portable())
        else:
            vocabulary.delete_runs()
        upload_files(self.container, entry.targets.files)
        return warning


def inputs_of(bundle: str | None) -> Callable[[str, CountSettings], Vocabulary]:
    """Return what counts an input by its name: in the bundle, if there is one, or on the disk.

    Raises:
        Refusal: the bundle cannot be read, or is not an archive.
    """
    if not bundle:
        return count_file
    from word_counter.bundle import Bundle

    return Bundle(bundle).count


def write_records(
    options: argparse.Namespace, entries: Sequence[Entry], records: ExitRecords
) -> Path:
    """Write the exit records, with a bundle into an archive of all results; return what to upload.

    Raises:
        Refusal: they cannot be written.
    """
    stem = Path(options.manifest).stem
    exits, archive = Path(f"{stem}_EXITS.jsonl"), Path(f"{stem}_OUTPUT.tar")
    with refused(ExitCode.OUTPUT, f"output of {options.manifest!r}"):
        exits.write_text("".join(f"{json.dumps(record)}\n" for record in records), "ascii")
        if not options.bundle:
            return exits
        results = [file for entry in entries for file in entry.targets.files if file.is_file()]
        from word_counter.bundle import write_archive

        write_archive(archive, [exits, *results])
    return archive


def refuse_failures(records: ExitRecords) -> None:
    """Check that all inputs were counted.

    Raises:
        Refusal: some failed; the exit code is that of the first of them.
    """
    if failed := [record for record in records if record["exit_code"]]:
        first = failed[0]
        reason = f"{len(failed)} of {len(records)} inputs failed; the first: {first['reason']}"
        raise Refusal(ExitCode(first["exit_code"]), reason)

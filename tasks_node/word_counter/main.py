"""The program from its arguments to its exit code: count, write, upload."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from word_counter.arguments import CONTAINER_VARIABLE, INPUT_VARIABLE, parse_arguments
from word_counter.counting import CountSettings
from word_counter.encodings import report_undecodable
from word_counter.output import Targets, default_output, range_output, upload_files, write
from word_counter.pieces import load_library
from word_counter.processors import available_processors
from word_counter.refusals import ExitCode, as_refusal
from word_counter.texts import count_file
from word_counter.tokenizer import DEFINITIONS
from word_counter.vocabulary import Vocabulary

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from word_counter.storage import Location


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code; every failure is one line on stderr."""
    try:
        run(arguments)
    except Exception as error:  # noqa: BLE001 - its text may hold the SAS, so Python must not print it
        refusal = as_refusal(error)
        sys.stderr.write(f"top_words: {refusal}\n")
        return refusal.exit_code
    return ExitCode.OK


def run(arguments: Sequence[str] | None) -> None:
    """Count, write the results and upload them if the environment names a container.

    Raises:
        Refusal: one of the steps cannot be done.
    """
    options = parse_arguments(arguments)
    container = container_from_environment()
    time.sleep(options.delay)
    processes = options.processes or max(1, available_processors() // options.slots)
    folder = Path(f".top-words-{os.getpid()}").absolute()
    library = None if options.merge else load_library()
    settings = CountSettings(
        *(DEFINITIONS[options.words], processes, folder, library),
        encoding=options.encoding,
        is_strict=options.on_undecodable == "refuse",
    )
    try:
        if options.manifest:
            from word_counter.many_inputs import count_manifest

            warning = count_manifest(options, container, settings)
        else:
            warning = count_one(options, container, settings)
    finally:
        if folder.exists():
            import shutil

            shutil.rmtree(folder)
    if warning:
        sys.stdout.write(f"top_words: warning: {warning}\n")
    kernel = "the accelerator" if library else "Python"
    sys.stdout.write(f"top_words: counted with {kernel}, at most {processes} processes\n")


def container_from_environment() -> Location | None:
    """Return the container to upload to, or None if the environment names none.

    Raises:
        Refusal: the value is not a container SAS URL; the reason does not repeat it.
    """
    if not os.environ.get(CONTAINER_VARIABLE):
        return None
    from word_counter.storage import location_in

    return location_in(CONTAINER_VARIABLE, ExitCode.UPLOAD, "container")


def count_one(
    options: argparse.Namespace, container: Location | None, settings: CountSettings
) -> str:
    """Count one input, write the results and upload them; return a warning, or nothing.

    Raises:
        Refusal: one of the steps cannot be done.
    """
    definition, warning = settings.definition, ""
    if options.merge:
        from word_counter.counts_file import merge_counts

        vocabulary, output = Vocabulary(settings.folder), Path("merge_OUTPUT.txt")
        definition = merge_counts(options.merge, vocabulary)
    elif options.range:
        from word_counter.blob import count_blob_range

        vocabulary = count_blob_range(options.range, settings)
        output = range_output(options.range)
    else:
        vocabulary = count_file(options.filepath, settings)
        output = default_output(options.filepath)
    if not options.merge:
        name = INPUT_VARIABLE if options.range else options.filepath
        warning = report_undecodable(
            vocabulary.undecodable, name, settings.encoding, is_strict=settings.is_strict
        )
    targets = Targets(options.output or output, options.counts)
    write(vocabulary, definition, options.numwords, targets)
    upload_files(container, targets.files)
    return warning

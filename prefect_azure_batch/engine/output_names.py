"""Where outputs go in the output folder: each to a place of its own, and none beside the folder."""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from prefect_azure_batch.collecting.logs import STREAMS
from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.model.names import output_name_of
from prefect_azure_batch.model.output_record import REPORTS, is_report_or_log
from prefect_azure_batch.model.tasks import Level
from prefect_azure_batch.service.specs import log_folder

PROBE = ".output-dir-probe-\N{LATIN SMALL LETTER E WITH ACUTE}"
WAY_OUT = "run them apart, each with an output_dir of its own"


def output_names(levels: Sequence[Level]) -> Iterator[tuple[str, str]]:
    """Yield the name of each file that will be in the output folder, and of what it is made."""
    for planned in (planned for level in levels for planned in level):
        names = planned.unpacks_to or planned.results
        is_one_each = len(names) == len(planned.inputs)
        inputs = planned.inputs if is_one_each else ["all inputs"] * len(names)
        yield from zip(names, inputs, strict=True)


def own_names(levels: Sequence[Level]) -> Iterator[str]:
    """Yield the names of the files that a run may write into its output folder; one log of two."""
    yield from REPORTS
    yield from (name for name, _ in output_names(levels))
    for planned in (planned for level in levels for planned in level):
        yield f"{log_folder(planned.id)}/{STREAMS[0]}"


def check_output_names(levels: Sequence[Level], folder: Path) -> None:
    """Check that no output would take the place of another, or of a report.

    Args:
        levels: the batch tasks.
        folder: the output folder; only a plan's need not exist.

    Raises:
        ConfigurationError: names both inputs.
    """
    folds = ignores_case(next(path for path in (folder, *folder.parents) if path.is_dir()))
    taken: dict[str, tuple[str, str]] = {}
    for name, source in output_names(levels):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\0" in name or is_report_or_log(name):
            raise ConfigurationError(f"output {name!r} of {source!r} has no place in output_dir")
        before = taken.setdefault(_key(name, folds=folds), (name, source))
        if before != (name, source):
            raise ConfigurationError(_clash(before, (name, source)))
    for name, source in taken.values():
        for above in PurePosixPath(name).parents:
            if (other := taken.get(_key(str(above), folds=folds))) is not None:
                raise ConfigurationError(
                    f"output {other[0]!r} of {other[1]!r} would be a file and a folder, for output "
                    f"{name!r} of {source!r}: {WAY_OUT}"
                )


def _clash(one: tuple[str, str], other: tuple[str, str]) -> str:
    if one[0] != other[0]:
        reason = "are one file on the disk of output_dir, which ignores letter case"
        return f"outputs {one[0]!r} and {other[0]!r} {reason}: rename an input, or {WAY_OUT}"
    is_of_suffix = output_name_of(one[1]) != output_name_of(other[1])
    suffix = "leave out output_suffix, or " if is_of_suffix else ""
    return (
        f"inputs {one[1]!r} and {other[1]!r} would have one output, {one[0]!r}: {suffix}{WAY_OUT}"
    )


def ignores_case(folder: Path) -> bool:
    """Tell whether a folder's disk takes names for one that differ in letter case or Unicode form.

    Args:
        folder: it exists, and can be written to.
    """
    probe = folder / PROBE
    try:
        probe.touch()
        others = (PROBE.upper(), unicodedata.normalize("NFD", PROBE))
        return any(os.path.lexists(folder / name) for name in others)
    except (OSError, UnicodeError):
        return False
    finally:
        probe.unlink(missing_ok=True)


def _key(name: str, *, folds: bool) -> str:
    return unicodedata.normalize("NFC", name.casefold()) if folds else name

"""Manifests: lists of many inputs."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from word_counter.output import Targets, blob_name, default_output
from word_counter.refusals import ExitCode, Refusal, refused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class Entry(NamedTuple):
    """One input of a manifest."""

    file_path: str
    targets: Targets


def read_manifest(path: str, others: Sequence[Path] = ()) -> list[Entry]:
    """Read a manifest: in each line a JSON object with `filepath`, and `output`, `counts` if set.

    No two inputs may have files of the same name, nor one of `others`.

    Raises:
        Refusal: it cannot be read, a line is wrong, or two inputs have files of the same name.
    """
    entries = []
    with refused(ExitCode.INPUT, f"manifest {path!r}"), open(path, "rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                entries.append(entry_of(json.loads(line)))
            except (ValueError, TypeError, KeyError) as error:
                reason = f"manifest {path!r}, line {number}: no input in it"
                raise Refusal(ExitCode.INPUT, reason) from error
    names = Counter(blob_name(file) for entry in entries for file in entry.targets.files)
    names.update(blob_name(file) for file in others)
    if twice := [name for name, count in names.items() if count > 1]:
        raise Refusal(ExitCode.INPUT, f"manifest {path!r}: {twice[0]!r} is written twice")
    return entries


def entry_of(fields: Any) -> Entry:
    """Return an entry from its fields.

    Raises:
        ValueError, TypeError, KeyError: one is missing, unknown or not a string.
    """
    if not isinstance(fields, dict) or fields.keys() - {"filepath", "output", "counts"}:
        raise ValueError(fields)
    file_path = os.fspath(fields["filepath"])
    output = Path(fields["output"]) if "output" in fields else default_output(file_path)
    return Entry(file_path, Targets(output, Path(fields["counts"]) if "counts" in fields else None))

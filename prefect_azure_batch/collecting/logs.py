"""Logs of batch tasks: stdout and stderr beside the outputs, without signatures."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from prefect_azure_batch.messages import SIGNATURE, STDERR_LINES, TAIL_BYTES, last_lines
from prefect_azure_batch.model.disk_errors import naming
from prefect_azure_batch.service.specs import log_folder

STREAMS = ("stdout.txt", "stderr.txt")
BLOCK_BYTES = 1 << 20
# A log may have no end of line in gigabytes.
_SIGNATURE = re.compile(SIGNATURE.pattern.encode(), re.IGNORECASE)
_END_OF_SIGNATURE = re.compile(rb"[&\s\"'<>]")
# The beginning of what the expression finds, with the byte before it.
_BEGINNING_BYTES = len(b" sig=")


def log_path(folder: Path, batch_task_id: str) -> Path:
    """Return the folder for stdout and stderr of a batch task."""
    return folder / log_folder(batch_task_id)


def tail_of(path: Path, num_lines: int = STDERR_LINES) -> str:
    """Return the end of a log for people, without signatures; nothing if it is not there."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return last_lines(file.read(), num_lines)


def delete_old_logs(folder: Path, batch_task_ids: Iterable[str]) -> None:
    """Delete logs of earlier runs that would be taken for those of this one's batch tasks.

    Args:
        folder: the output folder.
        batch_task_ids: of this run.
    """
    logs = log_path(folder, "")
    if not logs.is_dir():
        return
    there = {path.name for path in logs.iterdir()}
    for batch_task_id in there.intersection(batch_task_ids):
        for name in STREAMS:
            (log_path(folder, batch_task_id) / name).unlink(missing_ok=True)


def hide_signatures(path: Path) -> None:
    """Take the signatures of SAS URLs, which a program can have printed, out of a log."""
    if not path.is_file():
        return
    partial = path.with_name(f".{path.name}.part")
    try:
        with naming(path), path.open("rb") as log, partial.open("wb") as hidden:
            hidden.writelines(hidden_in(iter(lambda: log.read(BLOCK_BYTES), b"")))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def hidden_in(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Give blocks of a log without signatures, also those that begin in one and end in another."""
    held, is_inside = b"", False
    for block in blocks:
        shown = held + block
        if is_inside:
            end = _END_OF_SIGNATURE.search(shown)
            shown = shown[end.start() :] if end else b""
            is_inside = end is None
        held = b""
        # The expression alone takes a tenth of a second for a megabyte.
        has_any = b"sig=" in shown.lower()
        ends = [found.end() for found in _SIGNATURE.finditer(shown)] if has_any else []
        if ends and ends[-1] == len(shown):
            is_inside = True
        elif not is_inside:
            cut = max(ends[-1] if ends else 0, len(shown) - _BEGINNING_BYTES)
            shown, held = shown[:cut], shown[cut:]
        yield _SIGNATURE.sub(rb"\1***", shown) if has_any else shown
    yield held

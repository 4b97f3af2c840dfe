"""Logs of batch tasks: stdout and stderr beside the outputs, without signatures."""

from collections.abc import Iterable
from pathlib import Path

from prefect_azure_batch.messages import STDERR_LINES, last_lines, without_signatures
from prefect_azure_batch.service.specs import log_folder

STREAMS = ("stdout.txt", "stderr.txt")
TAIL_BYTES = 64 * 1024


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
    with path.open("rb") as log, partial.open("wb") as hidden:
        # Every byte is a character of Latin-1, and comes back as it was.
        lines = (without_signatures(line.decode("latin-1")) for line in log)
        hidden.writelines(line.encode("latin-1") for line in lines)
    partial.replace(path)

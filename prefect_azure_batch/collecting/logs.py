"""Logs of batch tasks: stdout and stderr beside the outputs, without signatures."""

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

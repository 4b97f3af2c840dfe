"""What the batch tasks left: outputs and logs, downloaded, and complete or an error."""

from collections.abc import Sequence
from pathlib import Path

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient
from prefect.logging import get_run_logger

from flows.errors import (
    BatchTasksFailed,
    ConfigurationError,
    OutputMissing,
    OutputUnreadable,
    quoted,
)
from flows.runs import Run
from flows.services import Services, error_code, step
from flows.specs import log_folder
from flows.steps.pool import last_lines
from flows.work import Ending, InputFile, PlannedTask, WordCounts

STREAMS = ("stdout.txt", "stderr.txt")


def prepare_output_dir(output_dir: str) -> Path:
    """Make the output folder and try to write there, before anything is created.

    Raises:
        ConfigurationError: the folder cannot be made or written to.
    """
    folder = Path(output_dir).absolute()
    probe = folder / ".top-words-probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"output_dir {str(folder)!r} is not writable: {error.strerror}"
        ) from error
    return folder


@step("download outputs")
def download_outputs(
    services: Services, run: Run, planned: Sequence[PlannedTask], folder: Path
) -> list[str]:
    """Download every output and every stdout and stderr into the folder; files are replaced.

    Returns:
        Names of outputs that are not there.
    """
    missing = []
    for item in planned:
        missing += [
            name for name in item.results if not _download(services.blobs, run, name, folder / name)
        ]
        for stream in STREAMS:
            blob = f"{log_folder(item.id)}/{stream}"
            _download(services.blobs, run, blob, log_path(folder, item) / stream)
    num_outputs = sum(len(item.results) for item in planned)
    get_run_logger().info(
        "downloaded %d of %d outputs to %s", num_outputs - len(missing), num_outputs, folder
    )
    return missing


def log_path(folder: Path, planned: PlannedTask) -> Path:
    """Return the folder for stdout and stderr of a batch task."""
    return folder / "logs" / (planned.inputs[0] if len(planned.inputs) == 1 else planned.id)


def _download(blobs: BlobServiceClient, run: Run, name: str, path: Path) -> bool:
    path.unlink(missing_ok=True)
    try:
        content = blobs.get_blob_client(run.output_container, name).download_blob()
    except HttpResponseError as error:
        if error_code(error) != "BlobNotFound":
            raise
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    with partial.open("wb") as file:
        content.readinto(file)
    partial.replace(path)
    return True


def check_endings(
    planned: Sequence[PlannedTask],
    endings: Sequence[Ending],
    missing: Sequence[str],
    folder: Path,
) -> None:
    """Tell whether every batch task did its work.

    Raises:
        BatchTasksFailed: some batch tasks did not succeed; with exit codes and stderr.
        OutputMissing: all succeeded, but outputs are not there.
    """
    by_id = {ending.batch_task_id: ending for ending in endings}
    ended = [(item, by_id.get(item.id) or _gone(item)) for item in planned]
    failed = [(item, ending) for item, ending in ended if not ending.succeeded]
    if failed:
        raise BatchTasksFailed([_describe(*pair, folder) for pair in failed])
    if missing:
        raise OutputMissing(missing)


def _gone(planned: PlannedTask) -> Ending:
    return Ending(planned.id, succeeded=False, message="somebody deleted the batch task")


def _describe(planned: PlannedTask, ending: Ending, folder: Path) -> str:
    stderr = log_path(folder, planned) / "stderr.txt"
    lines = last_lines(stderr.read_bytes()) if stderr.is_file() else ""
    inputs = ", ".join(map(repr, planned.inputs))
    where = f"batch task {ending.batch_task_id} on node {ending.node_id or '(none)'}"
    what = f"exit code {ending.exit_code}, {ending.reason}"
    return f"input {inputs}: {where}: {what}{quoted(lines)}"


def read_words(folder: Path, inputs: Sequence[InputFile]) -> dict[str, WordCounts]:
    """Return the words and counts of each output, by the input's name."""
    return {
        source.name: parse_words((folder / source.output_name).read_text("utf-8", "replace"))
        for source in inputs
    }


def parse_words(text: str) -> WordCounts:
    """Return the words of an output file: the lines between its two rules.

    Raises:
        OutputUnreadable: a line there is no word and count.
    """
    lines = iter(text.split("\n"))
    for line in lines:
        if _is_rule(line):
            break
    words = []
    for line in lines:
        if _is_rule(line):
            break
        word, _, count = line.partition("\t")
        if not count.isdecimal():
            raise OutputUnreadable(line)
        words.append((word, int(count)))
    return words


def _is_rule(line: str) -> bool:
    return line != "" and not line.strip("-")

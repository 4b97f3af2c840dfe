"""The failure report: what failed, by cause, written before anything is deleted."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from prefect.artifacts import create_markdown_artifact

from prefect_azure_batch.collecting.csv_file import write_rows
from prefect_azure_batch.collecting.logs import log_path, tail_of
from prefect_azure_batch.collecting.markdown import code_block, escaped, table
from prefect_azure_batch.errors import BatchTaskError, BatchTasksFailed, OutputMissing
from prefect_azure_batch.messages import few, indented
from prefect_azure_batch.model.disk_errors import naming
from prefect_azure_batch.model.output_record import ALL_FAILURES_NAME, REPORT_NAME
from prefect_azure_batch.model.result import Ending, Failure
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.service.context import WorkContext
from prefect_azure_batch.service.step import step

ARTIFACT_KEY = "failures"
MOST_CAUSES = 20
MOST_OF_A_CAUSE = 5
MOST_INPUTS = 3
# In a table, a longer word would run over the edge of the page.
LONGEST_ID = 24
# An error is read on a terminal.
MOST_CAUSES_OF_ERROR = 5
LOST = "OutputLost"

Sources = Mapping[str, str]
"""Where inputs are from, by their names in the run."""
NO_SOURCES: Sources = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Cause:
    """What failures have in common: everything but which input it was."""

    exit_code: int | None
    category: str
    code: str
    message: str
    last_line: str


def lost_output(
    inputs: tuple[str, ...], ending: Ending, reason: str, last_line: str = ""
) -> Failure:
    """Return the failure of a batch task that leaves no outputs and does not fail itself.

    Args:
        inputs: what has no output for it.
        ending: how it ended.
        reason: what is wrong with its outputs.
        last_line: of its stderr.
    """
    lost = replace(ending, succeeded=False, category="", code=LOST, message=reason)
    return Failure(inputs, lost, last_line)


def by_cause(failures: Iterable[Failure]) -> list[tuple[Cause, list[Failure]]]:
    """Group failures, the most frequent cause first; within one in natural order of the ids."""
    groups: defaultdict[Cause, list[Failure]] = defaultdict(list)
    for failure in sorted(failures, key=_natural_order):
        ending = failure.ending
        groups[
            Cause(
                ending.exit_code,
                ending.category,
                ending.code,
                _without_inputs(ending.message, failure),
                _without_inputs(failure.last_line, failure),
            )
        ].append(failure)
    return sorted(groups.items(), key=lambda group: -len(group[1]))


def _natural_order(failure: Failure) -> tuple[list[int], str, tuple[str, ...]]:
    task_id = failure.ending.batch_task_id
    return [int(digits) for digits in re.findall(r"\d+", task_id)], task_id, failure.inputs


def _without_inputs(text: str, failure: Failure) -> str:
    """Return a text that is the same for every input, if only the input's name differs."""
    for name in (*failure.inputs, failure.ending.batch_task_id):
        text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", "…", text)
    return text


@step("report failures")
def report_failures(context: WorkContext, failures: Sequence[Failure]) -> None:
    """Write the artifact `failures`, the same as a file beside the outputs, and all as CSV."""
    sources = {source.name: source.source for source in context.inputs}
    report = write_failures(context.run, failures, context.folder, sources)
    create_markdown_artifact(key=ARTIFACT_KEY, markdown=report, description="Failed batch tasks")


def write_failures(
    run: Run, failures: Sequence[Failure], folder: Path, sources: Sources = NO_SOURCES
) -> str:
    """Write the report and the file of all failures; return the report."""
    report = failure_report(run, failures, folder, sources)
    path = folder / REPORT_NAME
    with naming(path):
        path.write_text(report, "utf-8")
    path = folder / ALL_FAILURES_NAME
    with naming(path), path.open("w", encoding="utf-8", newline="") as file:
        write_rows(file, ROW, _rows(failures, sources))
    return report


def delete_old_report(folder: Path) -> None:
    """Delete the report of an earlier run, which would be taken for this one's."""
    for name in (REPORT_NAME, ALL_FAILURES_NAME):
        (folder / name).unlink(missing_ok=True)


ROW = (
    "input",
    "batch_task",
    "node",
    "exit_code",
    "category",
    "code",
    "message",
    "retries",
    "requeues",
    "run_time_s",
    "last_line_of_stderr",
    "source",
)


def _rows(failures: Iterable[Failure], sources: Sources) -> Iterator[tuple[object, ...]]:
    for failure in sorted(failures, key=_natural_order):
        for name in failure.inputs:
            source = sources.get(name, name)
            yield (name, *_evidence(failure.ending), failure.last_line, source)


def _evidence(ending: Ending) -> tuple[object, ...]:
    return (
        ending.batch_task_id,
        ending.node_id,
        "" if ending.exit_code is None else ending.exit_code,
        ending.category,
        ending.code,
        ending.message,
        ending.num_retries,
        ending.num_requeues,
        f"{ending.run_time_s:.3f}",
    )


def failure_report(
    run: Run, failures: Sequence[Failure], folder: Path, sources: Sources = NO_SOURCES
) -> str:
    """Return the report as markdown, bounded however many failures there are.

    Args:
        run: which run.
        failures: at least one.
        folder: where stdout and stderr of failed batch tasks were downloaded to.
        sources: where the inputs are from.
    """
    groups = by_cause(failures)
    lines = [
        f"# {num_batch_tasks(failures)} batch task(s) failed",
        "",
        f"Run {run.flow_run_id}, {run.started:%F %T} UTC.",
    ]
    for cause, group in groups[:MOST_CAUSES]:
        lines += ["", *_section(cause, group, folder, sources)]
    if left_out := groups[MOST_CAUSES:]:
        num_failures = sum(len(group) for _, group in left_out)
        lines += [
            "",
            f"Left out: {num_failures} failures of {len(left_out)} more causes.",
        ]
    return "\n".join([*lines, "", f"All failures: `{ALL_FAILURES_NAME}`; logs: `logs/`.", ""])


def num_batch_tasks(failures: Iterable[Failure]) -> int:
    """Return how many batch tasks the failures are of."""
    return len({failure.ending.batch_task_id for failure in failures})


def _section(cause: Cause, group: list[Failure], folder: Path, sources: Sources) -> Iterator[str]:
    yield f"## {len(group)} x {escaped(_title(cause))}"
    yield ""
    shown = group[:MOST_OF_A_CAUSE]
    header = ("Inputs", "Batch task", "Node", "Attempts", "Run time", "Source")
    yield from table(header, (_cells(failure, sources) for failure in shown))
    if len(group) > len(shown):
        yield f"\n{len(group) - len(shown)} more."
    for failure in shown:
        task_id = failure.ending.batch_task_id
        tail = tail_of(log_path(folder, task_id) / "stderr.txt")
        if tail:
            yield f"\nLast lines of stderr of {task_id}:\n"
            yield code_block(tail)


def _title(cause: Cause) -> str:
    exit_code = f"exit code {cause.exit_code}" if cause.exit_code is not None else "no exit code"
    kind = f" ({cause.category})" if cause.category else ""
    return f"{exit_code}, {': '.join(filter(None, (cause.code, cause.message)))}{kind}"


def _cells(failure: Failure, sources: Sources) -> tuple[str, ...]:
    ending = failure.ending
    retried = f"{ending.num_retries} retries, {ending.num_requeues} requeues"
    attempts = f"{1 + ending.num_retries + ending.num_requeues} ({retried})"
    return (
        _names(failure.inputs),
        ending.batch_task_id,
        _shortened(ending.node_id) or "(none)",
        attempts,
        f"{ending.run_time_s:.1f} s",
        _names([sources.get(name, name) for name in failure.inputs[:MOST_INPUTS]]),
    )


def _shortened(name: str) -> str:
    """Return an id with its middle left out if it is long; the CSV file has all of it."""
    is_long = len(name) > LONGEST_ID
    return f"{name[: LONGEST_ID // 2]}…{name[-LONGEST_ID // 4 :]}" if is_long else name


def _names(names: Sequence[str]) -> str:
    return few(list(map(repr, names)), MOST_INPUTS)


def failure_error(failures: Sequence[Failure], folder: Path) -> BatchTaskError | OutputMissing:
    """Return the one error of a run with failures, short enough to read on a terminal."""
    report = str(folder / REPORT_NAME)
    groups = by_cause(failures)
    if all(failure.ending.code == LOST for failure in failures):
        reasons = [failure.ending.message for failure in islice(failures, MOST_CAUSES_OF_ERROR)]
        return OutputMissing(num_batch_tasks(failures), reasons, report)
    causes = [_line(group, folder) for _, group in groups[:MOST_CAUSES_OF_ERROR]]
    if len(groups) > MOST_CAUSES_OF_ERROR:
        causes.append(f"and {len(groups) - MOST_CAUSES_OF_ERROR} more causes")
    return BatchTasksFailed(num_batch_tasks(failures), causes, report)


def _line(group: list[Failure], folder: Path) -> str:
    ending = group[0].ending
    inputs = [name for failure in group for name in failure.inputs]
    tail = tail_of(log_path(folder, ending.batch_task_id) / "stderr.txt")
    where = f"batch task {ending.batch_task_id} on node {ending.node_id or '(none)'}"
    what = f"exit code {ending.exit_code}, {ending.reason}"
    return f"input {_names(inputs)}: {where}: {what}{indented(tail)}"

"""The failure report: grouped by cause, bounded, and safe to show."""

import csv
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from prefect_azure_batch.collecting.failure_report import (
    by_cause,
    delete_old_report,
    failure_error,
    failure_report,
    lost_output,
    write_failures,
)
from prefect_azure_batch.collecting.logs import log_path
from prefect_azure_batch.errors import BatchTasksFailed, ConfigurationError, OutputMissing
from prefect_azure_batch.model.result import Ending, Failure
from prefect_azure_batch.model.run import new_run
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings

RUN = new_run(UUID(int=1), 1, JobSettings(), CleanUpPolicy(), 0)
ENDING = Ending(
    "topNtask0",
    succeeded=False,
    exit_code=3,
    category="usererror",
    code="FailureExitCode",
    message="The task exited with an exit code representing a failure",
    node_id="node-1",
    num_retries=1,
    num_requeues=2,
    run_time_s=1.25,
)


def failure(number: int, last_line: str = "", **changes: object) -> Failure:
    """Return the failure of a batch task that counts one file."""
    ending = replace(ENDING, batch_task_id=f"topNtask{number}", **changes)  # type: ignore[arg-type]
    return Failure((f"{number}.txt",), ending, last_line)


def write_stderr(folder: Path, number: int, text: str) -> None:
    """Write the stderr of a batch task as the downloads do."""
    path = log_path(folder, f"topNtask{number}") / "stderr.txt"
    path.parent.mkdir(parents=True)
    path.write_text(text)


@pytest.mark.parametrize("name", ["failures.md", "failures.csv"])
def test_full_disk_names_the_report(tmp_path: Path, name: str) -> None:
    """What a full disk does not take is an error with the file and what to do."""
    (tmp_path / name).symlink_to("/dev/full")

    with pytest.raises(ConfigurationError, match=f"/{name}': No space left.*make room"):
        write_failures(RUN, [failure(1)], tmp_path)


def test_same_cause_whatever_the_input() -> None:
    """Failures that differ in their input's name only are one group, in natural order."""
    failures = [failure(number, f"input '{number}.txt' is binary") for number in (10, 9, 2)]

    ((cause, group),) = by_cause(failures)

    assert cause.last_line == "input '…' is binary"
    assert [item.inputs[0] for item in group] == ["2.txt", "9.txt", "10.txt"]


@pytest.mark.parametrize(
    "other",
    [
        failure(9, exit_code=4),
        failure(9, category="servererror"),
        failure(9, code="TaskEnded"),
        failure(9, message="another"),
        failure(9, "another"),
    ],
)
def test_other_causes(other: Failure) -> None:
    """Exit code, category, code, message and last line of stderr tell causes apart."""
    groups = by_cause([other, failure(0), failure(1)])

    assert [len(group) for _, group in groups] == [2, 1]


def test_report_has_the_evidence(tmp_path: Path) -> None:
    """Each failure has input, node, attempts, run time and the last lines of stderr."""
    write_stderr(tmp_path, 0, "first\n```\nlast | line\n")

    report = failure_report(RUN, [failure(0, "last | line")], tmp_path)

    assert "1 batch task(s) failed" in report
    assert "## 1 x exit code 3, FailureExitCode" in report
    assert (
        "| '0.txt' | topNtask0 | node-1 | 4 (1 retries, 2 requeues) | 1.2 s | '0.txt' |" in report
    )
    assert "````text\nfirst\n```\nlast | line\n````" in report


def test_report_of_ten_thousand(tmp_path: Path) -> None:
    """However many fail for however many causes, the report is short and says what it left out."""
    failures = [failure(number, f"reason {number % 50}!") for number in range(10_000)]

    report = failure_report(RUN, failures, tmp_path)

    assert len(report) < 50_000
    assert "10000 batch task(s) failed" in report
    assert "195 more" in report
    assert "Left out: 6000 failures of 30 more causes" in report


def test_files_beside_the_outputs(tmp_path: Path) -> None:
    """The report is a file, and every failed input is a row of another."""
    bundle = Failure(("a.txt", "=b.txt"), replace(ENDING, batch_task_id="bundle0", exit_code=None))

    write_failures(RUN, [failure(1), bundle], tmp_path, {"a.txt": "az://in/a.txt"})

    assert "2 batch task(s) failed" in (tmp_path / "failures.md").read_text()
    with (tmp_path / "failures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = ("input", "batch_task", "exit_code", "source")
    assert [tuple(row[column] for column in columns) for row in rows] == [
        ("a.txt", "bundle0", "", "az://in/a.txt"),
        ("'=b.txt", "bundle0", "", "'=b.txt"),
        ("1.txt", "topNtask1", "3", "1.txt"),
    ]


def test_report_of_an_earlier_run_goes(tmp_path: Path) -> None:
    """A run that ends well leaves no report of failures behind."""
    write_failures(RUN, [failure(1)], tmp_path)

    delete_old_report(tmp_path)
    delete_old_report(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_error_is_readable(tmp_path: Path) -> None:
    """The error has causes, a few inputs of each, the end of stderr, and where the report is."""
    write_stderr(tmp_path, 0, "".join(f"line {number}\n" for number in range(30)))
    failures = [failure(number, "line 29") for number in range(1000)]
    failures += [failure(1000 + number, f"reason {number}") for number in range(9)]

    text = str(failure_error(failures, tmp_path))

    assert text.startswith(
        "1009 batch task(s) failed:\ninput '0.txt', '1.txt', '2.txt' and 997 more:"
    )
    assert "batch task topNtask0 on node node-1: exit code 3, FailureExitCode" in text
    assert "    line 10\n" in text
    assert "    line 9\n" not in text
    assert "and 5 more causes" in text
    assert text.endswith(f"all failures: {tmp_path / 'failures.md'}")
    assert len(text.splitlines()) < 40


def test_error_of_lost_outputs(tmp_path: Path) -> None:
    """Outputs that are lost each time are distinguished from failing node programs."""
    lost = [
        lost_output(
            (f"{n}.txt",), Ending(f"topNtask{n}", succeeded=True), f"'{n}_OUTPUT.txt' is not there"
        )
        for n in (0, 1)
    ]

    assert isinstance(failure_error(lost, tmp_path), OutputMissing)
    assert "'0_OUTPUT.txt' is not there" in str(failure_error(lost, tmp_path))
    assert isinstance(failure_error([*lost, failure(3)], tmp_path), BatchTasksFailed)


def test_no_signature_is_shown(tmp_path: Path) -> None:
    """A SAS URL that a program wrote to stderr is shown without what makes it work."""
    write_stderr(tmp_path, 0, "cannot read http://a/b?se=1&sig=SECRET%3D\n")

    report = failure_report(RUN, [failure(0)], tmp_path)

    assert "sig=***" in report
    assert "SECRET" not in report + str(failure_error([failure(0)], tmp_path))

"""Reading what the node program writes, and judging whether it is all there."""

from pathlib import Path

import pytest
from azure.batch.models import BatchTaskCreateResult

from flows.errors import BatchTasksFailed, BatchTasksRefused, OutputMissing, OutputUnreadable
from flows.services import is_retryable
from flows.steps.batch_tasks import check_taken
from flows.steps.outputs import check_endings, log_path, parse_words, read_words
from flows.work import Ending, InputFile, PlannedTask

RULE = "-" * 30
TAIL = "Node: n\nTask: t\nJob: j\nPool: p\n"
SOURCE = InputFile("a.txt", 1, Path("a.txt"))
PLANNED = PlannedTask("topNtask0", ("a.txt",), (), (), ("a_OUTPUT.txt",), ("a_OUTPUT.txt",))
GOOD = Ending("topNtask0", succeeded=True, exit_code=0, node_id="n")
BAD = Ending("topNtask0", succeeded=False, exit_code=3, code="FailureExitCode", node_id="n")


@pytest.mark.parametrize(
    ("lines", "words"),
    [("", []), ("the\t4\n", [("the", 4)]), ("the\t4\nčas\t2\n", [("the", 4), ("čas", 2)])],
)
def test_words_between_the_rules(lines: str, words: list[tuple[str, int]]) -> None:
    """The words are the lines between the two rules, in their order."""
    assert parse_words(f"Word\tCount\n{RULE}\n{lines}{RULE}\n{TAIL}") == words


def test_line_without_count() -> None:
    """An output of another format is an error that shows the line."""
    with pytest.raises(OutputUnreadable, match="nonsense"):
        parse_words(f"Word\tCount\n{RULE}\nnonsense\n{RULE}\n")


def test_all_there(tmp_path: Path) -> None:
    """A success with its output is no error."""
    check_endings([PLANNED], [GOOD], [], tmp_path)


def test_failure_shows_the_end_of_stderr(tmp_path: Path) -> None:
    """A failure names input and exit code and shows the last 20 lines of stderr."""
    stderr = log_path(tmp_path, PLANNED) / "stderr.txt"
    stderr.parent.mkdir(parents=True)
    stderr.write_text("".join(f"line {number}\n" for number in range(30)))

    with pytest.raises(BatchTasksFailed) as raised:
        check_endings([PLANNED], [BAD], ["a_OUTPUT.txt"], tmp_path)

    told = str(raised.value)
    assert "'a.txt'" in told
    assert "exit code 3" in told
    assert told.splitlines()[-20:] == [f"    line {number}" for number in range(10, 30)]


def test_deleted_batch_task_is_a_failure(tmp_path: Path) -> None:
    """A batch task that is not there any more is no success."""
    with pytest.raises(BatchTasksFailed, match="deleted"):
        check_endings([PLANNED], [], [], tmp_path)


def test_success_without_output(tmp_path: Path) -> None:
    """A success without its output is an error that names the output."""
    with pytest.raises(OutputMissing, match=r"a_OUTPUT\.txt"):
        check_endings([PLANNED], [GOOD], ["a_OUTPUT.txt"], tmp_path)


def test_output_that_is_not_utf8(tmp_path: Path) -> None:
    """Bytes of another program's output that are not UTF-8 are replaced."""
    (tmp_path / "a_OUTPUT.txt").write_bytes(
        f"{RULE}\n".encode() + b"caf\xe9\t2\n" + f"{RULE}\n".encode()
    )

    assert read_words(tmp_path, [SOURCE]) == {"a.txt": [("caf\ufffd", 2)]}


def result(status: str, code: str) -> BatchTaskCreateResult:
    """Return what the service says about one batch task of a collection."""
    return BatchTaskCreateResult(
        {"status": status, "taskId": f"{status}-{code}", "error": {"code": code}}
    )


@pytest.mark.parametrize(
    ("results", "is_transient"),
    [
        ([result("Success", ""), result("servererror", "Whatever")], True),
        ([result("servererror", "ServerBusy"), result("ClientError", "InvalidInput")], False),
    ],
)
def test_refused_batch_tasks(results: list[BatchTaskCreateResult], is_transient: bool) -> None:  # noqa: FBT001 - a table
    """Batch tasks that were not taken are sent again only if the service blames itself for all."""
    with pytest.raises(BatchTasksRefused, match=results[1].task_id) as raised:
        check_taken("job", results)

    assert is_retryable(raised.value) is is_transient


def test_batch_tasks_that_are_there_already() -> None:
    """A batch task that exists is one of ours, from a call whose answer was lost."""
    check_taken("job", [result("clienterror", "TaskExists")])

"""Errors keep their data, name what to do, and survive being stored."""

import ast
import pickle
from pathlib import Path

import pytest

from prefect_azure_batch import errors
from prefect_azure_batch.messages import ADVICE

EXAMPLES = [
    errors.ConfigurationError("wrong"),
    errors.BatchTaskTooLarge("bundle0", 1000, 999),
    errors.ServiceError("refused", "PoolQuotaReached", 409),
    errors.BatchTasksRefused("refused", "ServerBusy"),
    errors.NotOwned("pool", "p"),
    errors.HeartbeatLost("tw-1", "somebody deleted it"),
    errors.RunTakenOver("tw-1", "2"),
    errors.RunIsAlive("tw-1", "2", 10, 600),
    errors.RunIsOver("tw-1"),
    errors.PoolResizeFailed("p", "AllocationFailed", "no room"),
    errors.StartTaskFailed("n", "exit code 1", "last line"),
    errors.NodeUnusable("n", "broken"),
    errors.NodesNotReady("p", 900, {"starting": 1}),
    errors.NothingRuns("p", ["job j is disabled"]),
    errors.SubmissionTimedOut("j", 1, 2, 900, "ServerBusy"),
    errors.BatchTasksFailed(1, ["input 'a'"], "failures.md"),
    errors.BatchTasksTimedOut("j", 60, ["topNtask0"]),
    errors.JobEnded("j", "MaxWallClockTimeExpiry", ["topNtask0"]),
    errors.OutputMissing(1, ["a_OUTPUT.txt is not there"], "failures.md"),
    errors.OutputDamaged("no exit record"),
    errors.HeartbeatDamaged("tw-1"),
    errors.OutputUnreadable("a_OUTPUT.txt", "nonsense"),
    errors.CleanUpIncomplete(["pool p"], 600, "ServerBusy"),
    errors.CleanUpIncomplete(["pool p"], None, "delete pool p: AccountIsDisabled"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_error_survives_being_stored(error: errors.PipelineError) -> None:
    """Prefect may pickle an error: type and message stay."""
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes

    assert type(copy) is type(error)
    assert str(copy) == str(error)


@pytest.mark.parametrize(
    "code", ["PoolQuotaReached", "AllocationFailed", "KeyBasedAuthenticationNotPermitted"]
)
def test_common_codes_say_what_to_do(code: str) -> None:
    """The message about a common code ends with its advice."""
    assert str(errors.ServiceError("refused", code)).endswith(ADVICE[code])


def test_every_class_is_in_the_tree() -> None:
    """The tree at the top of the module names every class, and nothing else."""
    source = Path(errors.__file__).read_text()
    classes = {node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
    tree = {
        line.lstrip("│├└─ ").split()[0]
        for line in (errors.__doc__ or "").splitlines()[2:]
        if line.strip()
    }

    assert tree == classes


def test_what_is_left_because_of_a_refusal_is_not_called_slow() -> None:
    """Only a clean-up that ran out of time says how long it has waited."""
    slow, refused = (
        errors.CleanUpIncomplete(["pool p"], 9),
        errors.CleanUpIncomplete(["pool p"], None, "delete pool p: AccountIsDisabled"),
    )

    assert slow.evidence == "not gone after 9 s: pool p"
    assert refused.evidence == "delete pool p: AccountIsDisabled; still there: pool p"


def test_long_lists_of_names_are_cut() -> None:
    """A message names ten of a hundred, and says how many more there are."""
    text = str(
        errors.JobEnded("j", "UserTerminate", [f"topNtask{number}" for number in range(100)])
    )

    assert "topNtask9 and 90 more" in text
    assert "topNtask10" not in text

"""Clean-up by policy: what goes, what stays, and that it can be repeated."""

from collections.abc import Callable

import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.clean_up import clean_up, cleaned_up
from flows.errors import CleanUpIncomplete, PipelineError
from flows.runs import Run
from flows.services import Services
from flows.settings import CleanUpPolicy, Outcome, Policy
from flows.steps.leftovers import Kinds, delete_leftovers, find_leftovers
from tests.pipeline.conftest import leftovers

pytestmark = pytest.mark.usefixtures("prefect_harness", "nothing_left")

ON_SUCCESS = CleanUpPolicy(
    containers=Policy.ON_SUCCESS, job=Policy.ON_SUCCESS, pool=Policy.ON_SUCCESS
)
NEVER = CleanUpPolicy(containers=Policy.NEVER, job=Policy.NEVER, pool=Policy.NEVER)


@pytest.mark.parametrize(
    ("policy", "outcome", "num_left"),
    [
        (CleanUpPolicy(), Outcome.FAILED, 0),
        (ON_SUCCESS, Outcome.SUCCEEDED, 0),
        (ON_SUCCESS, Outcome.FAILED, 5),
        (ON_SUCCESS, Outcome.CANCELLED, 0),
        (NEVER, Outcome.CANCELLED, 5),
        (CleanUpPolicy(pool=Policy.NEVER), Outcome.SUCCEEDED, 1),
    ],
)
def test_policy(
    services: Services,
    make_run: Callable[[], Run],
    policy: CleanUpPolicy,
    outcome: Outcome,
    num_left: int,
) -> None:
    """Each resource is deleted or kept as its policy says for the outcome of the run."""
    run = make_run()

    clean_up(run, outcome, policy, None, None)

    assert len(find_leftovers(services, run)) == num_left
    delete_leftovers(services, run, Kinds(), timeout_s=60)


def test_repeating_finds_nothing(services: Services, make_run: Callable[[], Run]) -> None:
    """A second clean-up of the same run deletes nothing and is no error."""
    run = make_run()

    first = delete_leftovers(services, run, Kinds(), timeout_s=60)

    assert len(first) == 5
    assert delete_leftovers(services, run, Kinds(), timeout_s=60) == []


def test_other_runs_are_left_alone(services: Services, make_run: Callable[[], Run]) -> None:
    """A clean-up deletes nothing of another run."""
    run, other = make_run(), make_run()

    delete_leftovers(services, run, Kinds(), timeout_s=60)

    assert len(find_leftovers(services, other)) == 5
    delete_leftovers(services, other, Kinds(), timeout_s=60)


def test_what_is_left_is_named(services: Services, make_run: Callable[[], Run]) -> None:
    """A clean-up that has no time to finish says what is left, and can be continued."""
    run = make_run()

    with pytest.raises(CleanUpIncomplete, match=f"pool {run.pool_id}"):
        delete_leftovers(services, run, Kinds(), timeout_s=-1)

    delete_leftovers(services, run, Kinds(), timeout_s=60)


@pytest.mark.parametrize("error", [PipelineError("boom"), KeyboardInterrupt()])
def test_error_of_the_run_stays_the_error(
    services: Services, make_run: Callable[[], Run], error: BaseException
) -> None:
    """Whatever the run raised is what comes out after the clean-up."""
    run = make_run()

    @flow
    def broken() -> None:
        with cleaned_up(services, run, CleanUpPolicy(), None, None):
            raise error

    with pytest.raises(type(error)) as raised:
        broken()

    assert raised.value is error
    assert leftovers(services) == []


def test_clean_up_without_prefects_server(services: Services, make_run: Callable[[], Run]) -> None:
    """If Prefect's server is lost during a run, everything is deleted all the same."""
    run = make_run()

    @flow
    def broken() -> None:
        with (
            temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
            cleaned_up(services, run, CleanUpPolicy(), None, None),
        ):
            raise PipelineError("boom")

    with pytest.raises(PipelineError, match="boom") as raised:
        broken()

    assert "clean-up: " in raised.value.__notes__[0]
    assert leftovers(services) == []

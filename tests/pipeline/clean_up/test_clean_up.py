"""Clean-up by policy: what goes, what stays, and that it can be repeated."""

import re
from asyncio import CancelledError
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL, temporary_settings

from local_azure.client import Control
from prefect_azure_batch.clean_up import CleanUp, clean_up, cleaned_up
from prefect_azure_batch.errors import CleanUpIncomplete, PipelineError, RunTakenOver
from prefect_azure_batch.model.run import HEARTBEAT_BLOB, Run
from prefect_azure_batch.ownership.deletion import KindsToDelete, delete_leftovers, find_leftovers
from prefect_azure_batch.ownership.heartbeat import BEATS_PER_LIMIT, Heartbeat
from prefect_azure_batch.ownership.heartbeat_blob import RunState, look_at_heartbeat
from prefect_azure_batch.ownership.liveness import LifeState
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import RunContext
from prefect_azure_batch.settings import CleanUpPolicy, Outcome, Policy
from tests.pipeline.conftest import leftovers
from tests.support.pipeline.estates import LIMIT_S, Left, estate_of, lefts
from tests.support.pipeline.watched import wait_for_event
from tests.support.processes import wait_until

pytestmark = pytest.mark.usefixtures("prefect_harness", "nothing_left")

BY_DEFAULT = CleanUpPolicy()
ON_SUCCESS = CleanUpPolicy(
    containers=Policy.ON_SUCCESS, job=Policy.ON_SUCCESS, pool=Policy.ON_SUCCESS
)
NEVER = CleanUpPolicy(containers=Policy.NEVER, job=Policy.NEVER, pool=Policy.NEVER)
ASK = CleanUpPolicy(containers=Policy.ASK, job=Policy.ASK, pool=Policy.ASK)


@pytest.mark.parametrize(
    ("policy", "outcome", "num_left"),
    [
        (CleanUpPolicy(), Outcome.FAILED, 4),
        (CleanUpPolicy(), Outcome.CANCELLED, 0),
        (ON_SUCCESS, Outcome.SUCCEEDED, 0),
        (ON_SUCCESS, Outcome.FAILED, 5),
        (ON_SUCCESS, Outcome.CANCELLED, 0),
        (NEVER, Outcome.CANCELLED, 5),
        # Only a run that succeeded asks.
        (ASK, Outcome.FAILED, 4),
        (ASK, Outcome.CANCELLED, 0),
        # The application container stays as long as anything of the run does.
        (CleanUpPolicy(pool=Policy.NEVER), Outcome.SUCCEEDED, 2),
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

    assert len(find_leftovers(RunContext.of(services, run))) == num_left
    delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60)


def test_job_that_is_kept_is_ended_first(services: Services, make_run: Callable[[], Run]) -> None:
    """A kept job takes no batch tasks any more, although its pool is gone; also when repeated."""
    run = make_run()

    for _ in range(2):
        clean_up(run, Outcome.FAILED, CleanUpPolicy(), None, None)

    wait_until(lambda: services.batch.get_job(run.job_id).state == "completed", 30)
    assert not any(text.startswith("pool") for text in find_leftovers(RunContext.of(services, run)))
    delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60)


def test_deleted_pool_is_reported(services: Services, make_run: Callable[[], Run]) -> None:
    """Automations hear of the end of a pool."""
    run = make_run()

    clean_up(run, Outcome.SUCCEEDED, CleanUpPolicy(), None, None)

    wait_for_event(run, "azure-batch.pool.deleted")
    assert find_leftovers(RunContext.of(services, run)) == []


def cleaned(left: Left) -> list[str]:
    """Clean up a run that has succeeded, and return what was deleted."""
    context = RunContext.of(left.services, left.run)
    end = CleanUp(context, left.heartbeat, CleanUpPolicy(), None)
    return end.finish(Outcome.SUCCEEDED, list[str]().append)


def test_damaged_heartbeat_leaves_nothing(services: Services) -> None:
    """A run whose heartbeat somebody overwrote is cleaned up all the same: its nodes cost money."""
    with lefts(services) as make:
        left = make()
        blob = services.blobs.get_blob_client(left.run.application_container, HEARTBEAT_BLOB)
        blob.upload_blob(b"not a heartbeat", overwrite=True)

        cleaned(left)

        assert left.names() == []


def test_run_beats_until_its_pool_is_gone(controlled_services: Services, control: Control) -> None:
    """A clean-up that takes longer than the heartbeat's limit is for nobody else to continue."""
    control.set_delay("removal", None)
    written = set()
    with lefts(controlled_services) as make, ThreadPoolExecutor(1) as threads:
        left = make(nodes=1)
        wait_until(lambda: list(controlled_services.batch.list_nodes(left.run.pool_id)))
        ended = threads.submit(cleaned, left)
        wait_until(lambda: len(left.names()) == 2 or ended.done(), 30)

        def has_beaten_for_its_limit() -> bool:
            """Count what it has written."""
            seen = look_at_heartbeat(controlled_services.blobs, left.run)
            written.add(seen and seen.etag)
            return len(written) > BEATS_PER_LIMIT + 1

        wait_until(has_beaten_for_its_limit, 5 * LIMIT_S)
        liveness = estate_of(left).liveness
        control.set_delay("removal", 0)
        control.release("removal")

        assert len(ended.result()) == 5
    assert (liveness.state, "is deleting it" in liveness.why) == (LifeState.ALIVE, True)
    assert not left.heartbeat.trouble


def test_crash_in_the_clean_up_of_a_good_run(
    services: Services, make_run: Callable[[], Run]
) -> None:
    """Whoever continues it keeps what was to be kept: a success stays one, answers hold."""
    run = make_run()
    died = taken(services, run)
    died.mark_ended(datetime.now(UTC) + timedelta(hours=1), ["pool"], Outcome.SUCCEEDED)
    died.stop()
    hook = Heartbeat(services.blobs, run, UUID(run.flow_run_id), state=RunState.DELETING)

    finish(services, run, hook, Outcome.FAILED, ASK)

    assert find_leftovers(RunContext.of(services, run)) == [
        f"pool {run.pool_id}",
        f"container {run.application_container}",
    ]
    delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60)


def test_clean_up_that_is_begun_again_keeps_to_what_was_decided(
    services: Services, make_run: Callable[[], Run]
) -> None:
    """A second Ctrl-C makes a crash of a cancelled run; it leaves nothing all the same."""
    run = make_run()
    ended = taken(services, run)
    ended.mark_ended(None, [], Outcome.CANCELLED)
    ended.finish()
    hook = Heartbeat(services.blobs, run, UUID(run.flow_run_id), state=RunState.DELETING)

    finish(services, run, hook, Outcome.FAILED)

    assert find_leftovers(RunContext.of(services, run)) == []


def test_repeating_finds_nothing(services: Services, make_run: Callable[[], Run]) -> None:
    """A second clean-up of the same run deletes nothing and is not an error."""
    run = make_run()

    first = delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60)

    assert len(first) == 5
    assert delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60) == []


def test_other_runs_are_left_alone(services: Services, make_run: Callable[[], Run]) -> None:
    """A clean-up deletes nothing of another run."""
    run, other = make_run(), make_run()

    delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60)

    assert len(find_leftovers(RunContext.of(services, other))) == 5
    delete_leftovers(RunContext.of(services, other), KindsToDelete(), timeout_s=60)


def test_what_is_left_is_named(services: Services, make_run: Callable[[], Run]) -> None:
    """A clean-up that has no time to finish says what is left, and can be continued."""
    run = make_run()

    with pytest.raises(CleanUpIncomplete, match=f"pool {run.pool_id}"):
        delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=-1)

    delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60)


def test_later_attempts_are_left_alone(services: Services, make_run: Callable[[], Run]) -> None:
    """A clean-up deletes the attempts that its process knew, not one that another has opened."""
    run = make_run()

    delete_leftovers(
        RunContext.of(services, run.in_attempt(0)), KindsToDelete(containers=False), timeout_s=60
    )

    assert len(find_leftovers(RunContext.of(services, run))) == 5
    delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60)


@pytest.mark.parametrize(
    ("error", "num_left", "note"),
    [
        (PipelineError("boom"), 4, "is kept until .* resume=tw-"),
        (CancelledError(), 4, "is kept until .* resume=tw-"),
        (KeyboardInterrupt(), 0, "nothing of run tw-.* is kept"),
    ],
)
def test_error_of_the_run_stays_the_error(
    services: Services,
    make_run: Callable[[], Run],
    error: BaseException,
    num_left: int,
    note: str,
) -> None:
    """Whatever the run raised is what comes out after the clean-up, with what is kept."""
    run = make_run()

    with pytest.raises(type(error)) as raised:
        broken(services, run, error)

    assert raised.value is error
    assert re.search(note, "".join(error.__notes__))
    assert len(leftovers(services)) == num_left
    delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60)


@flow
def broken(services: Services, run: Run, error: BaseException, api_url: str = "") -> None:
    """Take the run, and raise the error; with another URL Prefect's server is lost before that."""
    heartbeat = taken(services, run)
    lost = {PREFECT_API_URL: api_url} if api_url else {}
    with (
        temporary_settings(lost),
        cleaned_up(RunContext.of(services, run), heartbeat, CleanUpPolicy(), (None, None)),
    ):
        raise error


def finish(
    services: Services,
    run: Run,
    heartbeat: Heartbeat,
    outcome: Outcome,
    policy: CleanUpPolicy = BY_DEFAULT,
) -> None:
    """Clean up at the end of a run, in the subflow."""
    end = CleanUp(RunContext.of(services, run), heartbeat, policy, (None, None))
    end.finish(outcome, list[str]().append)


def taken(services: Services, run: Run) -> Heartbeat:
    """Return the heartbeat of a process that has taken the run, in its attempt."""
    heartbeat = Heartbeat(services.blobs, run, UUID(run.flow_run_id))
    heartbeat.take(limit_s=0, age_s=0)
    heartbeat.open_attempt(run.attempt)
    return heartbeat


def test_clean_up_without_prefects_server(services: Services, make_run: Callable[[], Run]) -> None:
    """If Prefect's server is lost during a run, what would cost money is deleted all the same."""
    run = make_run()

    with pytest.raises(PipelineError, match="boom") as raised:
        broken(services, run, PipelineError("boom"), "http://127.0.0.1:9/api")

    assert "clean-up: " in raised.value.__notes__[-1]
    assert len(leftovers(services)) == 4
    delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60)


def test_nothing_is_deleted_of_a_run_that_was_taken_over(
    services: Services, make_run: Callable[[], Run]
) -> None:
    """A process that ends after another one has taken its run touches nothing of it."""
    run = make_run()
    old = taken(services, run)
    new = taken(services, run)

    with pytest.raises(RunTakenOver):
        finish(services, run, old, Outcome.SUCCEEDED)

    assert len(find_leftovers(RunContext.of(services, run))) == 5
    new.stop()
    delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60)


def test_end_of_a_run_that_never_had_a_heartbeat(
    services: Services, make_run: Callable[[], Run]
) -> None:
    """A run that ends before it had a heartbeat leaves nothing, of no attempt."""
    run = make_run()
    heartbeat = Heartbeat(services.blobs, run, UUID(run.flow_run_id))

    finish(services, run.in_attempt(0), heartbeat, Outcome.FAILED)

    assert leftovers(services) == []


def test_end_of_a_run_that_another_flow_run_did_not_get(
    services: Services, make_run: Callable[[], Run]
) -> None:
    """A flow run that ends before it had the run that it should resume touches nothing of it."""
    run = make_run()
    guest = Heartbeat(services.blobs, run, uuid4())

    with pytest.raises(RunTakenOver):
        finish(services, run, guest, Outcome.FAILED)

    assert len(find_leftovers(RunContext.of(services, run))) == 5
    delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60)

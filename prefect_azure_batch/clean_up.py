"""The end of every run, whatever happened: a subflow, and hooks for runs that could not get to it.

The subflow runs in the flow's `finally`. A run that is cancelled from the UI or crashes has the
hooks as well, called by the worker if the flow's process is gone; they find nothing if the
subflow has done its work. Whoever cleans up has the run's heartbeat: of a run that another process
has taken over, nothing is deleted.
"""

from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from prefect import Flow, State, flow, runtime
from prefect.client.schemas.objects import FlowRun
from prefect.logging import get_run_logger
from prefect.logging.loggers import flow_run_logger

from prefect_azure_batch.errors import (
    HeartbeatLost,
    PipelineError,
    RunIsAlive,
    RunIsOver,
    RunTakenOver,
    ServiceError,
)
from prefect_azure_batch.model.run import EVERY_ATTEMPT, Run, new_run, run_id_of
from prefect_azure_batch.ownership.deletion import (
    Kinds,
    delete_leftovers,
    find_leftovers,
    start_deletions,
)
from prefect_azure_batch.ownership.heartbeat import Heartbeat
from prefect_azure_batch.ownership.heartbeat_blob import State as BeatState
from prefect_azure_batch.ownership.question import ask
from prefect_azure_batch.running.events import Announcer
from prefect_azure_batch.running.pool import take_nodes_away
from prefect_azure_batch.service.clients import Services, open_services, step
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, Outcome

# A cancelled flow is killed after 30 s: then deletions must have been started, and the hook waits.
CANCELLED_TIMEOUT_S = 15
# A call that was in flight, or got no answer, may still create something.
SETTLE_S = 1.0


@step("delete job, pool and containers")
def delete_resources(
    services: Services, run: Run, policy: CleanUpPolicy, outcome: Outcome
) -> list[str]:
    """Delete what the policy says, and wait until it is gone.

    Returns:
        What was kept, in words.

    Raises:
        CleanUpIncomplete: something is left that should not be.
    """
    deleted = _delete(services, run, policy, outcome)
    if f"pool {run.pool_id}" in deleted:
        Announcer(run).pool("deleted")
    kept = find_leftovers(services, run)
    get_run_logger().info("deleted %s; kept %s", _listed(deleted), _listed(kept))
    return kept


def _delete(services: Services, run: Run, policy: CleanUpPolicy, outcome: Outcome) -> list[str]:
    kinds = wanted(policy, outcome)
    is_cancelled = outcome is Outcome.CANCELLED
    started = start_deletions(services, run, kinds) if is_cancelled else []
    deleted = delete_leftovers(
        services,
        run,
        kinds,
        min(policy.timeout_s, CANCELLED_TIMEOUT_S) if is_cancelled else policy.timeout_s,
        0 if outcome is Outcome.SUCCEEDED else SETTLE_S,
    )
    return list(dict.fromkeys([*started, *deleted]))


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "nothing"


def wanted(policy: CleanUpPolicy, outcome: Outcome) -> Kinds:
    """Return which kinds of resources are deleted after such an outcome, if nobody was asked."""
    policy = policy.answered({})
    return Kinds(
        containers=policy.deletes(policy.containers, outcome),
        job=policy.deletes(policy.job, outcome),
        pool=policy.deletes(policy.pool, outcome),
    )


@flow(name="clean-up")
def clean_up(
    run: Run,
    outcome: Outcome,
    policy: CleanUpPolicy,
    batch_credentials: str | None,
    storage_credentials: str | None,
) -> None:
    """Delete the resources of a run by its policy; safe to repeat.

    Args:
        run: whose resources.
        outcome: how the run ended; after a cancellation only `never` keeps anything.
        policy: what is deleted when.
        batch_credentials: name of a saved block; without one the environment is used.
        storage_credentials: name of a saved block; without one the environment is used.

    Raises:
        CleanUpIncomplete: something is left that should not be.
    """
    with open_services(batch_credentials, storage_credentials) as services:
        delete_resources(services, run, policy, outcome)


@contextmanager
def cleaned_up(
    services: Services,
    run: Run,
    heartbeat: Heartbeat,
    policy: CleanUpPolicy,
    block_names: tuple[str | None, str | None],
) -> Iterator[None]:
    """Run the clean-up after the block, however it is left; what it raised stays the error.

    After a success a person is asked first, if the policy says so.

    Args:
        services: clients that are open already, for a clean-up without Prefect's server.
        run: whose resources.
        heartbeat: says which attempts there are, and whether the run is still this process's.
        policy: what is deleted when.
        block_names: saved blocks of Batch and storage; without one the environment is used.

    Raises:
        CleanUpIncomplete: the block did its work, and something is left that should not be.
        RunTakenOver: the block did its work, and another process has the run.
    """
    try:
        yield
        last = run.in_attempt(heartbeat.attempt)
        policy = ask(last, heartbeat, policy, partial(take_nodes_away, services, last))
    except (RunIsAlive, RunIsOver, RunTakenOver):
        heartbeat.stop()
        raise
    except BaseException as error:
        # Prefect ends a flow whose time is over by the latter.
        is_failure = isinstance(error, (Exception, CancelledError))
        outcome = Outcome.FAILED if is_failure else Outcome.CANCELLED
        try:
            with settled(run, heartbeat, outcome, policy) as ending:
                error.add_note(ending.told)
                _clean_up_anyhow(services, ending, block_names)
        except Exception as left:  # noqa: BLE001 - told with the first error, which is raised
            error.add_note(f"clean-up: {left}")
        raise
    with settled(run, heartbeat, Outcome.SUCCEEDED, policy) as ending:
        _clean_up_anyhow(services, ending, block_names)


@dataclass(frozen=True)
class Settled:
    """What a clean-up has to go by.

    Attributes:
        run: whose resources, up to which attempt.
        outcome: how the run ended, as far as its resources are concerned.
        policy: what is deleted when.
        told: what is kept, until when, and how to go on.
    """

    run: Run
    outcome: Outcome
    policy: CleanUpPolicy
    told: str


@contextmanager
def settled(
    run: Run, heartbeat: Heartbeat, outcome: Outcome, policy: CleanUpPolicy
) -> Iterator[Settled]:
    """Say in the heartbeat what becomes of the run, and beat on while the block deletes the rest.

    Raises:
        RunTakenOver: another process has the run.
    """
    try:
        yield _settle(run, heartbeat, outcome, policy)
    finally:
        heartbeat.finish()


def _settle(run: Run, heartbeat: Heartbeat, outcome: Outcome, policy: CleanUpPolicy) -> Settled:
    if not heartbeat.is_held and not heartbeat.follow():
        # It never had a heartbeat, so there is nothing yet that would be evidence.
        return Settled(
            run.in_attempt(EVERY_ATTEMPT), Outcome.CANCELLED, policy, "it had no heartbeat"
        )
    beat = heartbeat.beat
    if outcome is Outcome.FAILED and beat.outcome:
        # Its clean-up was ended, by its death or a second Ctrl-C: what that had settled holds.
        outcome, kept = beat.outcome, beat.kept or ()
        policy = policy.answered({kind: kind not in kept for kind in policy.questions})
    run = run.in_attempt(heartbeat.attempt)
    return Settled(run, outcome, policy, _settle_held(run, heartbeat, outcome, policy))


def _settle_held(run: Run, heartbeat: Heartbeat, outcome: Outcome, policy: CleanUpPolicy) -> str:
    until = min(datetime.now(UTC) + timedelta(seconds=policy.keep_s), run.delete_after)
    kinds = asdict(wanted(policy, outcome))
    kept = [kind for kind, is_deleted in kinds.items() if not is_deleted]
    try:
        heartbeat.delete(
            until if kept else None,
            kept,
            outcome,
            is_hurried=outcome is Outcome.CANCELLED,
        )
    except (HeartbeatLost, ServiceError) as error:
        # If somebody else had the run, that would be another error.
        return f"at the end of the run its heartbeat could not be written: {error}"
    if not kept:
        return f"nothing of run {run.name} is kept"
    return (
        f"run {run.name} is kept until {until:%Y-%m-%d %H:%M} UTC; to go on with it, retry the "
        f"flow run in Prefect, or run the same again with resume={run.name} (--resume {run.name})"
    )


def _clean_up_anyhow(
    services: Services,
    ending: Settled,
    block_names: tuple[str | None, str | None],
) -> None:
    get_run_logger().info(ending.told)
    try:
        # Not a template: inputs with braces are in the name.
        name = f"clean up after {runtime.flow_run.name}"
        named = clean_up.with_options(flow_run_name=lambda: name)
        named(ending.run, ending.outcome, ending.policy, *block_names)
    except PipelineError:
        raise
    except Exception:
        # A subflow needs Prefect's server; nodes cost money without it too.
        _delete(services, ending.run, ending.policy, ending.outcome)
        raise


def clean_up_after(
    flow: Flow[..., Any],  # noqa: ARG001 - Prefect's signature
    flow_run: FlowRun,
    state: State[Any],
) -> None:
    """Prefect's hook for cancelled and crashed runs; a crashed one counts as failed.

    Raises:
        CleanUpIncomplete: something is left that should not be.
    """
    given = flow_run.parameters
    policy = CleanUpPolicy.model_validate(given.get("clean_up") or {})
    job = JobSettings.model_validate(given.get("job") or {})
    holder = UUID(str(flow_run.id))
    pool = given.get("pool") or {}
    run = new_run(run_id_of(given["resume"]) if given.get("resume") else holder, 0, job, policy)
    run = run.on_pool(pool.get("existing_pool_id"))
    outcome = Outcome.FAILED if state.is_crashed() else Outcome.CANCELLED
    logger = flow_run_logger(flow_run)
    names = (given.get("batch_credentials"), given.get("storage_credentials"))
    with open_services(*names) as services:
        try:
            heartbeat = Heartbeat(services.blobs, run, holder, logger.warning, BeatState.DELETING)
            with settled(run, heartbeat, outcome, policy) as ending:
                deleted = _delete(services, ending.run, ending.policy, ending.outcome)
        except PipelineError:
            logger.exception("clean-up after the end of the run")
            raise
    logger.info("after the end of the run: deleted %s; %s", _listed(deleted), ending.told)

"""The end of every run, whatever happened: a subflow, and hooks for runs that could not get to it.

The subflow runs in the flow's `finally`. A run that is cancelled from the UI or crashes has the
hooks as well, called by the worker if the flow's process is gone; they find nothing if the
subflow has done its work.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from prefect import Flow, State, flow
from prefect.client.schemas.objects import FlowRun
from prefect.logging import get_run_logger
from prefect.logging.loggers import flow_run_logger

from flows.errors import CleanUpIncomplete, PipelineError
from flows.runs import Run, new_run
from flows.services import Services, open_services, step
from flows.settings import CleanUpPolicy, JobSettings, Outcome
from flows.steps.leftovers import Kinds, delete_leftovers, find_leftovers

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
    kept = find_leftovers(services, run)
    get_run_logger().info("deleted %s; kept %s", _listed(deleted), _listed(kept))
    return kept


def _delete(services: Services, run: Run, policy: CleanUpPolicy, outcome: Outcome) -> list[str]:
    is_cancelled = outcome is Outcome.CANCELLED
    return delete_leftovers(
        services,
        run,
        wanted(policy, outcome),
        min(policy.timeout_s, CANCELLED_TIMEOUT_S) if is_cancelled else policy.timeout_s,
        0 if outcome is Outcome.SUCCEEDED else SETTLE_S,
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "nothing"


def wanted(policy: CleanUpPolicy, outcome: Outcome) -> Kinds:
    """Return which kinds of resources are deleted after such an outcome."""
    return Kinds(
        containers=policy.deletes(policy.containers, outcome),
        job=policy.deletes(policy.job, outcome),
        pool=policy.deletes(policy.pool, outcome),
    )


@flow(name="clean-up", flow_run_name="clean up {run.name}")
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
    policy: CleanUpPolicy,
    batch_credentials: str | None,
    storage_credentials: str | None,
) -> Iterator[None]:
    """Run the clean-up after the block, however it is left; what it raised stays the error.

    Args:
        services: clients that are open already, for a clean-up without Prefect's server.
        run: whose resources.
        policy: what is deleted when.
        batch_credentials: name of a saved block; without one the environment is used.
        storage_credentials: name of a saved block; without one the environment is used.

    Raises:
        CleanUpIncomplete: the block did its work, and something is left that should not be.
    """
    names = (batch_credentials, storage_credentials)
    try:
        yield
    except BaseException as error:
        outcome = Outcome.FAILED if isinstance(error, Exception) else Outcome.CANCELLED
        try:
            _clean_up_anyhow(services, run, outcome, policy, names)
        except Exception as left:  # noqa: BLE001 - told with the first error, which is raised
            error.add_note(f"clean-up: {left}")
        raise
    _clean_up_anyhow(services, run, Outcome.SUCCEEDED, policy, names)


def _clean_up_anyhow(
    services: Services,
    run: Run,
    outcome: Outcome,
    policy: CleanUpPolicy,
    names: tuple[str | None, str | None],
) -> None:
    try:
        clean_up(run, outcome, policy, *names)
    except PipelineError:
        raise
    except Exception:
        # A subflow needs Prefect's server; nodes cost money without it too.
        _delete(services, run, policy, outcome)
        raise


def clean_up_after(
    flow: Flow[..., Any],  # noqa: ARG001 - Prefect's signature
    flow_run: FlowRun,
    state: State[Any],  # noqa: ARG001 - Prefect's signature
) -> None:
    """Prefect's hook for cancelled and crashed runs: delete everything but what is never deleted.

    Raises:
        CleanUpIncomplete: something is left that should not be.
    """
    parameters = flow_run.parameters
    policy = CleanUpPolicy.model_validate(parameters.get("clean_up") or {})
    run = new_run(UUID(str(flow_run.id)), max(flow_run.run_count, 1), JobSettings(), policy)
    names = (parameters.get("batch_credentials"), parameters.get("storage_credentials"))
    logger = flow_run_logger(flow_run)
    with open_services(*names) as services:
        kinds = wanted(policy, Outcome.CANCELLED)
        try:
            deleted = delete_leftovers(services, run, kinds, policy.timeout_s, SETTLE_S)
        except CleanUpIncomplete:
            logger.exception("clean-up after the end of the run")
            raise
    logger.info("clean-up after the end of the run: deleted %s", _listed(deleted))

"""Prefect's hooks for runs that could not get to their clean-up.

A run that is cancelled from the UI or crashes has them beside the subflow of `clean_up.py`, called
by the worker if the flow's process is gone; they find nothing if the subflow has done its work.
"""

from collections.abc import Mapping
from typing import Any, TypedDict
from uuid import UUID

from prefect import Flow, State
from prefect.client.schemas.objects import FlowRun
from prefect.flows import FlowStateHook
from prefect.logging.loggers import flow_run_logger
from pydantic import BaseModel

from prefect_azure_batch.clean_up import CleanUp
from prefect_azure_batch.errors import PipelineError
from prefect_azure_batch.model.run import new_run, run_id_of
from prefect_azure_batch.ownership.heartbeat import Heartbeat
from prefect_azure_batch.ownership.heartbeat_blob import RunState
from prefect_azure_batch.ownership.unfinished import unfinished
from prefect_azure_batch.service.clients import open_services
from prefect_azure_batch.service.context import RunContext
from prefect_azure_batch.service.signals import RunSignals
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, Outcome, PoolSettings, Settings


class HookOptions(TypedDict):
    """What `hooks` gives to Prefect's `flow` decorator."""

    on_cancellation: list[FlowStateHook[..., Any]]
    on_crashed: list[FlowStateHook[..., Any]]


def clean_up_after(
    flow: Flow[..., Any],  # noqa: ARG001 - Prefect's signature
    flow_run: FlowRun,
    state: State[Any],
) -> None:
    """Prefect's hook for cancelled and crashed runs; a crashed one counts as failed.

    What it must know, it reads from the flow's parameters `batch_credentials`,
    `storage_credentials`, `pool`, `job`, `clean_up` and `resume`; those that the flow does not
    have are as by default.

    Raises:
        CleanUpIncomplete: something is left that should not be.
    """
    given = flow_run.parameters
    policy = CleanUpPolicy.model_validate(_known(given.get("clean_up"), CleanUpPolicy))
    job = JobSettings.model_validate(_known(given.get("job"), JobSettings))
    pool = _known(given.get("pool"), PoolSettings)
    holder = UUID(str(flow_run.id))
    run = new_run(run_id_of(given["resume"]) if given.get("resume") else holder, 0, job, policy)
    run = run.on_pool(pool.get("existing_pool_id"))
    outcome = Outcome.FAILED if state.is_crashed() else Outcome.CANCELLED
    logger = flow_run_logger(flow_run)
    names = (given.get("batch_credentials"), given.get("storage_credentials"))
    if run.name in unfinished:
        logger.warning("the clean-up was stopped and begins again; Ctrl-C once more ends it")
    with open_services(*names) as services:
        heartbeat = Heartbeat(services.blobs, run, holder, logger.warning, RunState.DELETING)
        end = CleanUp(RunContext.of(services, run), heartbeat, policy, None)
        notes: list[str] = []
        try:
            with RunSignals(end.rescue, services.movement, is_cleaning=True):
                deleted = end.finish(outcome, notes.append)
        except PipelineError:
            logger.exception("clean-up after the end of the run")
            raise
    logger.info(
        "after the end of the run: deleted %s; %s",
        ", ".join(deleted) or "nothing",
        "; ".join(notes),
    )


def _known(given: object, settings: type[Settings]) -> dict[str, Any]:
    """Return what a parameter of a flow says of such settings.

    A flow can have more of them, as the word counter has, or a parameter of that name which is
    something else: then the run's settings are taken to be as by default.
    """
    found = given.model_dump() if isinstance(given, BaseModel) else given
    if not isinstance(found, Mapping):
        return {}
    return {name: value for name, value in found.items() if name in settings.model_fields}


hooks: HookOptions = {"on_cancellation": [clean_up_after], "on_crashed": [clean_up_after]}
"""For a flow that calls `run_workload`: `@flow(**hooks)`."""

"""The question after a run that succeeded: what of it a person wants to keep.

On a terminal the command line asks; otherwise the flow run pauses, and Prefect's UI shows a form.
Nobody needs to answer: after its time the question counts as answered with yes. Meanwhile the
pool has no nodes, and the heartbeat says that the run waits, and until when.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Running
from pydantic import Field, create_model

from prefect_azure_batch.errors import RunLost, ServiceError
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.ownership.heartbeat import Heartbeat
from prefect_azure_batch.service.outages import Backoff, outlive
from prefect_azure_batch.service.signals import current_signals
from prefect_azure_batch.settings import CleanUpPolicy

POLL_S = 2
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
TITLE = (
    "The outputs are here. What is kept has no nodes, and is deleted when its time is over. "
    "Without an answer until {until:%Y-%m-%d %H:%M} UTC all of it is deleted now."
)

Question = Callable[[Mapping[str, str], int], Mapping[str, bool]]
"""Asks a person, given names by kind and seconds for the answer; returns by kind what to delete."""

on_question: ContextVar[Question | None] = ContextVar("on_question", default=None)
"""Asks on a terminal; without one Prefect's UI shows the question."""


def ask(
    run: Run, heartbeat: Heartbeat, policy: CleanUpPolicy, empty_pool: Callable[[], object]
) -> CleanUpPolicy:
    """Ask what shall be deleted, if the policy says so, and wait for the answer or its time.

    Args:
        run: that succeeded, in its last attempt.
        heartbeat: the run's.
        policy: what is asked, and how long.
        empty_pool: takes the nodes away, before anybody is asked.

    Returns:
        The policy without questions.

    Raises:
        RunLost: the run is no longer this process's.
    """
    names = _names(run, policy)
    if not names:
        return policy.answered({})
    try:
        empty_pool()
        until = datetime.now(UTC) + timedelta(seconds=policy.ask_timeout_s)
        _outlive(heartbeat, partial(heartbeat.mark_waiting, min(until, run.delete_after)))
    except RunLost:
        raise
    except ServiceError as error:
        get_run_logger().warning("nobody is asked what to delete: %s", error)
        return policy.answered({})
    question = on_question.get() or ask_in_ui
    said = question(names, policy.ask_timeout_s)
    _outlive(heartbeat, heartbeat.mark_running)
    kept = ", ".join(kind for kind, is_deleted in said.items() if not is_deleted)
    get_run_logger().info("answered: keep %s", kept or "nothing")
    return policy.answered(said)


def _outlive(heartbeat: Heartbeat, write: Callable[[], None]) -> None:
    """Write it in spite of an outage: the run has succeeded, and is not to fail by this."""
    outlive(write, Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S), heartbeat.check)


def _names(run: Run, policy: CleanUpPolicy) -> dict[str, str]:
    names = {"job": run.job_id, "pool": run.pool_id, "containers": f"{run.name}-*"}
    if run.existing_pool_id:
        # It stays, whatever anybody says.
        del names["pool"]
    return {kind: names[kind] for kind in policy.questions if kind in names}


def ask_in_ui(names: Mapping[str, str], timeout_s: int) -> Mapping[str, bool]:
    """Pause the flow run with a form; without an answer everything is deleted.

    Args:
        names: what is asked about, by kind.
        timeout_s: seconds to wait for the answer.
    """
    until = datetime.now(UTC) + timedelta(seconds=timeout_s)
    form = form_of(names).with_initial_data(description=TITLE.format(until=until))
    try:
        with _interruptible():
            said = pause_flow_run(form, timeout=timeout_s, poll_interval=POLL_S)
    except FlowPauseTimeout:
        get_run_logger().info("nobody has answered for %d s", timeout_s)
        _set_running()
        return dict.fromkeys(names, True)
    return {kind: bool(getattr(said, f"delete_{kind}")) for kind in names}


def _interruptible() -> AbstractContextManager[None]:
    signals = current_signals()
    return signals.waiting_for_person() if signals else nullcontext()


def form_of(names: Mapping[str, str]) -> type[RunInput]:
    """Return a form with a ticked box for each name, by kind."""
    fields: dict[str, Any] = {
        f"delete_{kind}": (
            bool,
            Field(default=True, title=f"Delete the {kind}?", description=name),
        )
        for kind, name in names.items()
    }
    return create_model("WhatToDelete", __base__=RunInput, **fields)


def _set_running() -> None:
    """Put the flow run back to work: the server would fail one whose pause is over."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(UUID(flow_run.id), Running(), force=True)

"""A step: a Prefect task that asks the services; errors that pass are repeated.

The SDKs repeat lost connections (`credentials/transport.py`); Prefect repeats what a service
answered with a transient code. A failing program on a node is repeated by Batch.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.utilities.annotations import quote

from prefect_azure_batch.credentials.slow_calls import warn
from prefect_azure_batch.errors import ServiceError
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.outages import (
    Outage,
    is_retryable,
    is_unanswered,
)
from prefect_azure_batch.service.refusals import service_errors
from prefect_azure_batch.service.signals import pause

S = TypeVar("S", bound=Services)
P = ParamSpec("P")
R = TypeVar("R")

# A throttled account needs a minute, and so does the name of a container that was just deleted.
REPEAT_DELAYS_S = (1.0, 2.0, 8.0, 30.0, 60.0)
OUTAGE_POLL_S = 5.0


class _Step(Task[P, R]):
    """A Prefect task that does not look for futures in its arguments; there are none.

    In ten thousand inputs it would look for most of a second, in each step.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it with its arguments wrapped as Prefect has it."""
        return super().__call__(*map(quote, args), **kwargs)


def step(
    name: str, *, is_repeated: bool = True
) -> Callable[[Callable[Concatenate[S, P], R]], Task[Concatenate[S, P], R]]:
    """Make a function of the services a Prefect task whose SDK errors are ServiceErrors.

    It begins only if the run of its services, the first argument, may continue. After an answer
    such as "busy", Prefect calls it again. Where no answer comes it is called again here, once a
    run has begun.

    Args:
        name: what the task run is called, such as `create pool`.
        is_repeated: false for one that asks again by itself.
    """
    delays_s = REPEAT_DELAYS_S if is_repeated else ()

    def decorate(function: Callable[Concatenate[S, P], R]) -> Task[Concatenate[S, P], R]:
        once = service_errors(name)(_checked(function))
        return _Step(
            _outliving_outages(once) if is_repeated else once,
            name=name,
            task_run_name=name,
            cache_policy=NO_CACHE,
            retries=len(delays_s),
            retry_delay_seconds=list(delays_s),
            retry_jitter_factor=0.5,
            retry_condition_fn=_has_passing_error,
        )

    return decorate


def _has_passing_error(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001 - Prefect's signature
    return is_retryable(state.result(raise_on_failure=False))


def _checked(function: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    @wraps(function)
    def checked(services: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        services.check()
        return function(services, *args, **kwargs)

    return checked


def _outliving_outages(function: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Ask again while no answer comes; before a run has begun, that is an error at once."""

    @wraps(function)
    def outliving(services: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        outage = Outage()
        while True:
            try:
                return function(services, *args, **kwargs)
            except ServiceError as error:
                if is_retryable(error):
                    _wait_before_prefect(error)
                if services.guard is None or not is_unanswered(error):
                    raise
                outage.wait(error, OUTAGE_POLL_S)

    return outliving


def _wait_before_prefect(error: ServiceError) -> None:
    """Say that Prefect repeats a step, which takes up to a minute; wait as the service asks."""
    context = TaskRunContext.get()
    num_calls = context.task_run.run_count if context else 0
    if 0 < num_calls <= len(REPEAT_DELAYS_S):
        delay_s = REPEAT_DELAYS_S[num_calls - 1]
        tries = f"try {num_calls + 1} of {len(REPEAT_DELAYS_S) + 1}"
        warn(f"{error}; {tries} in about {error.retry_after_s + delay_s:.3g} s")
        pause(error.retry_after_s)

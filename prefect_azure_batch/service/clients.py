"""How a step meets the services: errors in our words, and transient ones repeated by Prefect.

The SDKs repeat lost connections (`blocks/transport.py`); a Prefect task repeats what a service
answered with a transient code. A failing node program is repeated by Batch.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from azure.batch import BatchClient
from azure.core.exceptions import AzureError, HttpResponseError, ServiceRequestError
from azure.storage.blob import BlobServiceClient
from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.logging import get_run_logger
from prefect.utilities.annotations import quote

from blocks import AzureBatchCredentials, AzureStorageCredentials
from prefect_azure_batch.credentials.connection import error_code as error_code  # noqa: PLC0414 - the steps have it from here
from prefect_azure_batch.credentials.loading import plain_message
from prefect_azure_batch.errors import SIGNATURE, ConfigurationError, ServiceError, without_sas

P = ParamSpec("P")
R = TypeVar("R")

TRANSIENT_CODES = frozenset(
    {
        "ServerBusy",
        "OperationTimedOut",
        "InternalError",
        "TooManyRequests",
        "ContainerBeingDeleted",
    }
)
TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
# A throttled account needs a minute, and so does the name of a container that was just deleted.
REPEAT_DELAYS_S = (1.0, 2.0, 8.0, 30.0, 60.0)
# A run outlives five minutes without a service; heartbeats, without which it must stop, have ten.
OUTAGE_LIMIT_S = 420
OUTAGE_POLL_S = 5.0


def nothing_to_check() -> None:
    """Let everything go on: the check of services that no run's heartbeat stands behind."""


@dataclass(frozen=True)
class Services:
    """The clients of the two services.

    Attributes:
        batch: Azure Batch.
        blobs: Azure Blob Storage.
        check: raises HeartbeatLost when the run that uses them must not go on; every step calls
            it before it begins, and every loop at each turn.
    """

    batch: BatchClient
    blobs: BlobServiceClient
    check: Callable[[], None] = nothing_to_check


@contextmanager
def open_services(batch_name: str | None, storage_name: str | None) -> Iterator[Services]:
    """Open clients from saved blocks, or from the environment where no name is given.

    Raises:
        ConfigurationError: a block is absent, or a value is missing or wrong.
    """
    try:
        batch_block = AzureBatchCredentials.load_or_environment(batch_name)
        storage_block = AzureStorageCredentials.load_or_environment(storage_name)
    except ValueError as error:
        raise ConfigurationError(plain_message(error)) from error
    with batch_block.get_client() as batch, storage_block.get_client() as blobs:
        yield Services(batch, blobs)


def lowered(value: str | None) -> str:
    """Return a value of the wire for comparing: the service's spelling of letters varies."""
    return (value or "").lower()


@contextmanager
def service_errors(doing: str) -> Iterator[None]:
    """Turn the SDK's errors into one ServiceError with code, message and details.

    Args:
        doing: what is being done, for the message.

    Raises:
        ServiceError: the service refused, or no answer came.
    """
    try:
        yield
    except HttpResponseError as error:
        code = error_code(error) or (None if error.status_code else type(error).__name__)
        told = ServiceError(f"{doing}: {_told_by(error, code)}", code, error.status_code)
        # A traceback shows the cause's text too, and a service can repeat a SAS URL in it.
        raise told from (None if SIGNATURE.search(str(error)) else error)
    except AzureError as error:
        lost = (
            "could not be reached" if isinstance(error, ServiceRequestError) else "gave no answer"
        )
        raise ServiceError(
            f"{doing}: the service {lost} ({_first_line(str(error))}); check the endpoint"
        ) from error


def _told_by(error: HttpResponseError, code: str | None) -> str:
    body = error.error
    message = _first_line(str(getattr(body, "message", None) or error.message))
    details = [f"{item.code}: {item.message}" for item in getattr(body, "details", None) or ()]
    return "; ".join(
        [f"{code or f'HTTP {error.status_code}'}: {message}", *map(_first_line, details)]
    )


def _first_line(text: str) -> str:
    return without_sas(text.strip().splitlines()[0]) if text.strip() else ""


def is_retryable(error: object) -> bool:
    """Tell whether the same call can succeed later: the one place that says so."""
    if not isinstance(error, ServiceError):
        return False
    return error.code in TRANSIENT_CODES or error.status in TRANSIENT_STATUSES


class Outage:
    """How long a service has had no good answer, for the loops that ask it again and again.

    Args:
        limit_s: seconds after which it is no use to ask again.
    """

    def __init__(self, limit_s: float = OUTAGE_LIMIT_S) -> None:
        self._limit_s = limit_s
        self._began: float | None = None

    def bears(self, errors: Sequence[ServiceError]) -> bool:
        """Tell whether to ask again: all errors may pass, and not for too long already.

        Args:
            errors: what went wrong this time; none ends the outage.
        """
        if not errors:
            self._began = None
            return True
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        return all(map(_may_pass, errors)) and now - self._began <= self._limit_s


def _may_pass(error: ServiceError) -> bool:
    return _is_unanswered(error) or is_retryable(error)


def _is_unanswered(error: ServiceError) -> bool:
    return error.code is None and error.status is None


def _repeats(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001 - Prefect's signature
    return is_retryable(state.result(raise_on_failure=False))


class _Step(Task[P, R]):
    """A Prefect task that does not look for futures in its arguments; there are none.

    In ten thousand inputs it would look for most of a second, in each step.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it with its arguments wrapped as Prefect has it."""
        return super().__call__(*map(quote, args), **kwargs)


def step(name: str, *, is_repeated: bool = True) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function a Prefect task whose SDK errors are ServiceErrors, repeated if transient.

    Args:
        name: what the task run is called, such as `create pool`.
        is_repeated: whether it is repeated, by Prefect after an answer that says so, else here;
            false for one that asks again by itself.
    """
    delays_s = REPEAT_DELAYS_S if is_repeated else ()

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        once = service_errors(name)(_checked(function))
        return _Step(
            _patient(once) if is_repeated else once,
            name=name,
            task_run_name=name,
            cache_policy=NO_CACHE,
            retries=len(delays_s),
            retry_delay_seconds=list(delays_s),
            retry_jitter_factor=0.5,
            retry_condition_fn=_repeats,
        )

    return decorate


def _checked(function: Callable[P, R]) -> Callable[P, R]:
    """Let a step begin only while the run of its services, its first argument, may go on."""

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        services = args[0] if args else None
        if isinstance(services, Services):
            services.check()
        return function(*args, **kwargs)

    return checked


def _patient(function: Callable[P, R]) -> Callable[P, R]:
    """Let a step of a run that has begun outlive an outage; before, it is an error at once."""

    @wraps(function)
    def patient(*args: P.args, **kwargs: P.kwargs) -> R:
        services, outage = args[0] if args else None, Outage()
        has_begun = isinstance(services, Services) and services.check is not nothing_to_check
        while True:
            try:
                return function(*args, **kwargs)
            except ServiceError as error:
                if not (has_begun and _is_unanswered(error) and outage.bears([error])):
                    raise
                get_run_logger().warning("%s; trying again", error)
            time.sleep(OUTAGE_POLL_S)

    return patient

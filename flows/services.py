"""How a step meets the services: errors in our words, and transient ones repeated by Prefect.

The SDKs repeat lost connections (`blocks/transport.py`); a Prefect task repeats what a service
answered with a transient code. A failing node program is repeated by Batch.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from azure.batch import BatchClient
from azure.core.exceptions import AzureError, HttpResponseError, ServiceRequestError
from azure.storage.blob import BlobServiceClient
from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from blocks import AzureBatchCredentials, AzureStorageCredentials
from blocks.loading import plain_message
from flows.errors import ConfigurationError, ServiceError

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


@dataclass(frozen=True)
class Services:
    """The clients of the two services."""

    batch: BatchClient
    blobs: BlobServiceClient


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


def error_code(error: AzureError) -> str | None:
    """Return the service's code of an SDK error, whichever of the two services it comes from."""
    storage_code = getattr(error, "error_code", None)
    if storage_code is not None:
        return str(getattr(storage_code, "value", storage_code))
    body = getattr(error, "error", None)
    code = getattr(body, "code", None)
    return str(code) if code else None


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
        raise ServiceError(
            f"{doing}: {_told_by(error)}", error_code(error), error.status_code
        ) from error
    except AzureError as error:
        lost = (
            "could not be reached" if isinstance(error, ServiceRequestError) else "gave no answer"
        )
        raise ServiceError(
            f"{doing}: the service {lost} ({_first_line(str(error))}); check the endpoint"
        ) from error


def _told_by(error: HttpResponseError) -> str:
    body = error.error
    message = _first_line(str(getattr(body, "message", None) or error.message))
    details = [f"{item.code}: {item.message}" for item in getattr(body, "details", None) or ()]
    code = error_code(error) or f"HTTP {error.status_code}"
    return "; ".join([f"{code}: {message}", *map(_first_line, details)])


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""


def is_retryable(error: object) -> bool:
    """Tell whether the same call can succeed later: the one place that says so."""
    if not isinstance(error, ServiceError):
        return False
    return error.code in TRANSIENT_CODES or error.status in TRANSIENT_STATUSES


def _repeats(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001 - Prefect's signature
    return is_retryable(state.result(raise_on_failure=False))


def step(name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function a Prefect task whose SDK errors are ServiceErrors, repeated if transient.

    Args:
        name: what the task run is called, such as `create pool`; arguments in braces are filled in.
    """

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        label = name.partition("{")[0].strip()
        return task(
            name=label,
            task_run_name=name,
            cache_policy=NO_CACHE,
            retries=4,
            retry_delay_seconds=[1, 2, 4, 8],
            retry_jitter_factor=0.5,
            retry_condition_fn=_repeats,
        )(service_errors(label)(function))

    return decorate

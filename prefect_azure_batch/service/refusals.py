"""What the services refuse, in our words; and which refusals mean that all is done already."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from azure.core.exceptions import AzureError, HttpResponseError, ServiceRequestError

from prefect_azure_batch.credentials.connection import error_code
from prefect_azure_batch.errors import NotOwned, ServiceError
from prefect_azure_batch.messages import SIGNATURE, without_sas
from prefect_azure_batch.model.run import Run

__all__ = ["accepting", "create_own", "error_code", "lowered", "service_errors"]


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
        refused = ServiceError(f"{doing}: {_refusal(error, code)}", code, error.status_code)
        # A traceback shows the cause's text too, and a service can repeat a SAS URL in it.
        raise refused from (None if SIGNATURE.search(str(error)) else error)
    except AzureError as error:
        is_unsent = isinstance(error, ServiceRequestError)
        how = "could not be reached" if is_unsent else "gave no answer"
        raise ServiceError(
            f"{doing}: the service {how} ({_first_line(str(error))}); check the endpoint"
        ) from error


def _refusal(error: HttpResponseError, code: str | None) -> str:
    body = error.error
    message = _first_line(str(getattr(body, "message", None) or error.message))
    details = [f"{item.code}: {item.message}" for item in getattr(body, "details", None) or ()]
    return "; ".join(
        [f"{code or f'HTTP {error.status_code}'}: {message}", *map(_first_line, details)]
    )


def _first_line(text: str) -> str:
    return without_sas(text.strip().splitlines()[0]) if text.strip() else ""


@contextmanager
def accepting(*codes: str) -> Iterator[None]:
    """Take a refusal with one of these codes as done: the resource is there, gone or going."""
    try:
        yield
    except HttpResponseError as error:
        if error_code(error) not in codes:
            raise


def create_own(
    run: Run,
    resource: tuple[str, str],
    create: Callable[[], object],
    exists: str,
    metadata: Callable[[], Mapping[str, str]],
) -> None:
    """Create a resource, or accept the run's own, which an earlier try has created.

    Args:
        run: whose it is to be.
        resource: its kind and name, for an error.
        create: the call.
        exists: the code of the refusal that says that it is there.
        metadata: reads the metadata of what is there.

    Raises:
        NotOwned: what is there belongs to another run.
    """
    try:
        create()
    except HttpResponseError as error:
        if error_code(error) != exists:
            raise
        if not run.owns(metadata()):
            raise NotOwned(*resource) from error

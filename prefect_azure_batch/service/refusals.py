"""What the services refuse, in our words; and which refusals mean that all is done already."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    DeserializationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from prefect_azure_batch.credentials.connection import error_code
from prefect_azure_batch.credentials.transport import is_of_the_line
from prefect_azure_batch.errors import NotOwned, ServiceError
from prefect_azure_batch.messages import SIGNATURE, without_sas
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.service.answers import retry_after_s

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
    except Exception as error:
        if not (isinstance(error, AzureError | DeserializationError) or is_of_the_line(error)):
            raise
        found = _service_error(doing, error)
        # A traceback shows the cause's text too, and a service can repeat a SAS URL in it.
        raise found from (None if SIGNATURE.search(str(error)) else error)


def _service_error(doing: str, error: Exception) -> ServiceError:
    if not isinstance(error, HttpResponseError) or _is_unanswered(error):
        is_unsent = isinstance(error, ServiceRequestError)
        how = "could not be reached" if is_unsent else "gave no answer"
        reason = f"{type(error).__name__}: {_first_line(str(error))}"
        return ServiceError(f"{doing}: the service {how} ({reason}); check the endpoint")
    code = error_code(error) or (None if error.status_code else type(error).__name__)
    headers = getattr(error.response, "headers", None)
    wait_s = retry_after_s(headers)
    refusal = _refusal(error, code) + (f"; it asks to wait {wait_s:g} s" if wait_s else "")
    return ServiceError(f"{doing}: {refusal}", code, error.status_code, wait_s)


def _is_unanswered(error: HttpResponseError) -> bool:
    """Tell whether it says that no whole answer came, though the SDK has a status for most."""
    if isinstance(error, DecodeError):
        # What cannot be read of a refusal leaves its status.
        return (error.status_code or 0) < HTTPStatus.BAD_REQUEST
    if not isinstance(error, ClientAuthenticationError):
        return error.status_code is None
    # Who signs in got an answer that says no, unless the line broke on the way there.
    return error.status_code is None and _is_caused_by_line(error)


def _is_caused_by_line(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ServiceRequestError | ServiceResponseError | DecodeError):
            return True
        if is_of_the_line(error):
            return True
        error = error.__cause__
    return False


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

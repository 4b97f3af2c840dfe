"""Refusals of the services in our words, and those that mean that all is done already."""

import http.client
import ssl
from uuid import UUID

import pytest
import requests
import urllib3
from azure.core.exceptions import (
    ClientAuthenticationError,
    DecodeError,
    DeserializationError,
    HttpResponseError,
    IncompleteReadError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)

from prefect_azure_batch.errors import NotOwned, ServiceError
from prefect_azure_batch.model.run import new_run
from prefect_azure_batch.service.outages import is_unanswered
from prefect_azure_batch.service.refusals import accepting, create_own, service_errors
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings

RUN = new_run(UUID(int=1), 1, JobSettings(), CleanUpPolicy())
POOL = ("pool", RUN.pool_id)


def with_status(error: HttpResponseError, status: int) -> HttpResponseError:
    """Return an error of the SDK as if a service had answered with that status."""
    error.status_code = status
    return error


def caused(error: Exception, cause: Exception) -> Exception:
    """Return an error that was raised because of another."""
    error.__cause__ = cause
    return error


def service_error_of(error: Exception) -> ServiceError:
    """Return what becomes of an error."""
    with pytest.raises(ServiceError) as raised, service_errors("get pool"):
        raise error
    return raised.value


@pytest.mark.parametrize(
    "error",
    [
        ServiceRequestError("no route"),
        ServiceResponseError("reset"),
        HttpResponseError("without a status"),
        IncompleteReadError("half"),
        DecodeError("half"),
        with_status(DecodeError("half"), 200),
        DeserializationError("no time"),
        ConnectionResetError("reset"),
        ssl.SSLError("broken"),
        http.client.IncompleteRead(b"half"),
        requests.exceptions.ChunkedEncodingError("half"),
        urllib3.exceptions.ProtocolError("half"),
        caused(ClientAuthenticationError("no token"), ServiceResponseError("reset")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_whole_answer_is_none(error: Exception) -> None:
    """Whatever its class, an error without a good status says that no answer came."""
    assert is_unanswered(service_error_of(error))


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (ClientAuthenticationError("no token"), "ClientAuthenticationError", None),
        (with_status(HttpResponseError("no"), 403), None, 403),
        (with_status(DecodeError("half of a refusal"), 503), None, 503),
    ],
)
def test_refusals_are_answers(error: Exception, code: str | None, status: int | None) -> None:
    """Who is refused has an answer, also if its content cannot be read."""
    found = service_error_of(error)

    assert (found.code, found.status) == (code, status)
    assert not is_unanswered(found)


@pytest.mark.parametrize("error", [ValueError("ours"), KeyError("ours"), OSError("ours")])
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    """What is neither of the services nor of the line to them is not made one."""
    with pytest.raises(type(error)), service_errors("get pool"):
        raise error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ServiceRequestError("refused"), "could not be reached"),
        (ServiceResponseError("reset"), "gave no answer"),
        (HttpResponseError("something\nlong"), "HttpResponseError: something"),
    ],
)
def test_sdk_errors_have_one_line(error: Exception, text: str) -> None:
    """An error of an SDK says what was being done and its first line, and keeps its cause."""
    with (
        pytest.raises(ServiceError, match=f"^create pool: .*{text}") as raised,
        service_errors("create pool"),
    ):
        raise error

    assert raised.value.__cause__ is error
    assert "\n" not in str(raised.value)


def test_signature_in_a_refusal_is_hidden() -> None:
    """A SAS URL that the service repeats loses its signature, in the traceback as well."""
    with pytest.raises(ServiceError) as raised, service_errors("create pool"):
        raise with_status(HttpResponseError("bad https://acc/c/b?sv=1&sig=a%2Fb%3D&se=2"), 400)

    assert str(raised.value).endswith("https://acc/c/b?sv=1&sig=***&se=2")
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def refusal(code: str, kind: type[HttpResponseError] = ResourceNotFoundError) -> HttpResponseError:
    """Return a refusal as the storage SDK raises it."""
    error = kind(code)
    error.error_code = code  # type: ignore[attr-defined]
    return error


def test_accepted_codes_are_as_good_as_done() -> None:
    """A refusal with one of the codes is not an error."""
    with accepting("BlobNotFound", "ContainerNotFound"):
        raise refusal("ContainerNotFound")


def test_other_codes_are_errors() -> None:
    """A refusal with another code comes through as it is."""
    error = refusal("AuthenticationFailed")

    with pytest.raises(ResourceNotFoundError) as raised, accepting("BlobNotFound"):
        raise error

    assert raised.value is error


def refuse(code: str) -> None:
    """Refuse to create something."""
    raise refusal(code, ResourceExistsError)


def test_what_an_earlier_try_has_created_is_accepted() -> None:
    """A resource that is there with the run's marks is its own."""
    create_own(RUN, POOL, lambda: refuse("PoolExists"), "PoolExists", lambda: RUN.metadata)


def test_what_belongs_to_another_run_is_not_accepted() -> None:
    """A resource that is there with other marks is named, and left alone."""
    with pytest.raises(NotOwned, match=rf"pool {RUN.pool_id} exists"):
        create_own(RUN, POOL, lambda: refuse("PoolExists"), "PoolExists", dict)


def test_other_refusals_of_a_creation_are_errors() -> None:
    """A refusal that does not say that it is there comes through; nobody asks for its marks."""
    with pytest.raises(ResourceExistsError, match="QuotaReached"):
        create_own(RUN, POOL, lambda: refuse("QuotaReached"), "PoolExists", lambda: RUN.metadata)

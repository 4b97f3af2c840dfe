"""Errors of the SDKs in our words, and which of them pass."""

import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError

from prefect_azure_batch.errors import ConfigurationError, ServiceError
from prefect_azure_batch.service.clients import Outage, is_retryable, service_errors


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (ServiceError("busy", "ServerBusy", 503), True),
        (ServiceError("slow", "OperationTimedOut", 500), True),
        (ServiceError("throttled", None, 429), True),
        (ServiceError("name still blocked", "ContainerBeingDeleted", 409), True),
        (ServiceError("refused", "AuthenticationFailed", 403), False),
        (ServiceError("exists", "PoolExists", 409), False),
        (ServiceError("unreachable"), False),
        (ConfigurationError("wrong"), False),
        (ValueError("wrong"), False),
    ],
)
def test_what_is_repeated(error: Exception, passes: bool) -> None:  # noqa: FBT001 - a table
    """Only transient answers of a service are repeated; lost connections are the SDK's."""
    assert is_retryable(error) is passes


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ServiceRequestError("refused"), "could not be reached"),
        (ServiceResponseError("reset"), "gave no answer"),
        (HttpResponseError("something\nlong"), "HttpResponseError: something"),
    ],
)
def test_sdk_errors_are_told_in_one_line(error: Exception, told: str) -> None:
    """An error of an SDK says what was being done and its first line, and keeps its cause."""
    with (
        pytest.raises(ServiceError, match=f"^create pool: .*{told}") as raised,
        service_errors("create pool"),
    ):
        raise error

    assert raised.value.__cause__ is error
    assert "\n" not in str(raised.value)


def test_signature_in_a_refusal_is_not_told() -> None:
    """A SAS URL that the service repeats loses its signature, in the traceback as well."""
    with pytest.raises(ServiceError) as raised, service_errors("create pool"):
        raise HttpResponseError("bad value https://acc/c/b?sv=1&sig=a%2Fb%3D&se=2")

    assert str(raised.value).endswith("https://acc/c/b?sv=1&sig=***&se=2")
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


@pytest.mark.parametrize(
    ("error", "is_borne"),
    [
        (ServiceError("busy", "ServerBusy", 503), True),
        (ServiceError("unreachable"), True),
        (ServiceError("refused", "AuthenticationFailed", 403), False),
        (ServiceError("no sign-in", "CredentialUnavailableError"), False),
    ],
)
def test_which_outages_are_borne(error: ServiceError, is_borne: bool) -> None:  # noqa: FBT001 - a table
    """A loop asks again after a transient answer or none, not after a refusal."""
    assert Outage().bears([error]) is is_borne


def test_outage_is_borne_up_to_its_limit() -> None:
    """An outage that lasts longer than its limit is an error, until an answer ends it."""
    outage = Outage(limit_s=-1)

    assert not outage.bears([ServiceError("unreachable")])
    assert outage.bears([])

"""Errors of the SDKs in our words, and which of them pass."""

import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError

from flows.errors import ConfigurationError, ServiceError
from flows.services import is_retryable, service_errors


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
        (HttpResponseError("something\nlong"), "HTTP None: something"),
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

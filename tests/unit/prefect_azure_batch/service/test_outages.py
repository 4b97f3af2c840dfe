"""Which errors pass, for how long they are waited out, and at what pace."""

import logging
import time

import pytest

from prefect_azure_batch.errors import ConfigurationError, ServiceError
from prefect_azure_batch.service import outages
from prefect_azure_batch.service.outages import Backoff, Outage, is_retryable, is_unanswered


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
    ("error", "expected"),
    [
        (ServiceError("unreachable"), True),
        (ServiceError("throttled", None, 429), False),
        (ServiceError("no sign-in", "CredentialUnavailableError"), False),
    ],
)
def test_no_answer(error: ServiceError, expected: bool) -> None:  # noqa: FBT001 - a table
    """A status or a code is an answer."""
    assert is_unanswered(error) is expected


@pytest.mark.parametrize(
    "error", [ServiceError("busy", "ServerBusy", 503), ServiceError("unreachable")]
)
def test_which_outages_are_endured(error: ServiceError) -> None:
    """A loop asks again after a transient answer, and after none."""
    Outage().endure(error)


@pytest.mark.parametrize(
    "error",
    [
        ServiceError("refused", "AuthenticationFailed", 403),
        ServiceError("no sign-in", "CredentialUnavailableError"),
    ],
)
def test_refusals_are_not_endured(error: ServiceError) -> None:
    """After a refusal a loop does not ask again: the refusal is its error."""
    with pytest.raises(ServiceError) as raised:
        Outage().endure(error)

    assert raised.value is error


def test_outage_is_endured_up_to_its_limit() -> None:
    """An outage that lasts longer than its limit is an error."""
    outage = Outage(limit_s=-1)

    with pytest.raises(ServiceError, match="unreachable"):
        outage.endure(ServiceError("unreachable"))


def test_good_answer_ends_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a good answer the limit counts from the next error on."""
    outage, error = Outage(limit_s=10), ServiceError("unreachable")
    times = iter([0.0, 10.0, 20.0, 30.0, 30.1])
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    outage.endure(error)
    outage.endure(error)

    outage.end()

    outage.endure(error)
    outage.endure(error)
    with pytest.raises(ServiceError):
        outage.endure(error)


def test_pauses_grow_to_the_longest() -> None:
    """Each pause is longer than the one before by the factor, up to the longest."""
    backoff = Backoff(1, 10, growth=3)

    assert [backoff.next_s() for _ in range(5)] == [1, 3, 9, 10, 10]


def test_pauses_of_one_length() -> None:
    """With the first pause as the longest, all are equal."""
    backoff = Backoff(5, 5)

    assert [backoff.next_s() for _ in range(3)] == [5, 5, 5]


def test_pauses_begin_again() -> None:
    """After a reset the first pause comes next."""
    backoff = Backoff(1, 8)
    for _ in range(3):
        backoff.next_s()

    backoff.reset()

    assert [backoff.next_s() for _ in range(2)] == [1, 2]


def test_waiting_is_a_pause() -> None:
    """To wait takes as long as the pause, and the next one is longer."""
    backoff = Backoff(0.02, 1)
    began = time.monotonic()

    backoff.wait()

    assert time.monotonic() - began >= 0.02
    assert backoff.next_s() == 0.04


def test_long_outage_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its beginning and then every ten seconds, with what is wrong and when the next try is."""
    slept = list[float]()
    now = iter(range(0, 10_000, 4))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(now)))
    monkeypatch.setattr(outages, "pause", slept.append)
    outage = Outage()

    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            outage.wait(ServiceError("unreachable"), 1)

    assert slept == [1] * 5
    assert caplog.messages == ["unreachable; trying again in 1 s"] * 3


def test_what_a_service_asks_for_is_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause is as long as the service asks, if that is longer."""
    slept = list[float]()
    monkeypatch.setattr(outages, "pause", slept.append)

    for asked_s in (0, 3, 20):
        Outage().wait(ServiceError("busy", "ServerBusy", 503, asked_s), 5)

    assert slept == [5, 5, 20]


def test_longer_waits_than_a_run_has_are_an_error() -> None:
    """A service that asks to wait longer than an outage may last is not waited for."""
    error = ServiceError("busy", None, 429, outages.OUTAGE_LIMIT_S + 1)

    assert not is_retryable(error)
    with pytest.raises(ServiceError):
        Outage().wait(error, 1)


def test_call_that_outlives() -> None:
    """A call is made until it has an answer, with a check before each try."""
    checks, errors = list[int](), [ServiceError("unreachable"), ServiceError("busy", None, 503)]

    def call() -> str:
        """Fail twice."""
        if errors:
            raise errors.pop()
        return "done"

    assert outages.outlive(call, Backoff(0, 0), lambda: checks.append(1)) == "done"
    assert checks == [1, 1, 1]

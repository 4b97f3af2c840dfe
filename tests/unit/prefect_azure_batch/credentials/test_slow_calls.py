"""Calls that take long are reported while they last."""

import logging
import time

import pytest

from prefect_azure_batch.credentials import slow_calls
from prefect_azure_batch.credentials.slow_calls import SlowCalls
from tests.support.processes import wait_until

URL = "https://account.example:443/container/blob?sig=SECRET"


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report calls after a moment."""
    monkeypatch.setattr(slow_calls, "VISIBLE_AFTER_S", 0.05)
    monkeypatch.setattr(slow_calls, "LOOK_S", 0.01)


@pytest.mark.usefixtures("_soon")
def test_slow_call_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """A line says which host does not answer, and shows nothing else of the URL."""
    calls = SlowCalls()
    with calls.noted(URL), caplog.at_level(logging.WARNING):
        wait_until(lambda: caplog.messages)
        time.sleep(0.05)

    (message,) = caplog.messages
    assert message.startswith("no answer from account.example:443 for 0 s")
    assert "SECRET" not in message


@pytest.mark.usefixtures("_soon")
def test_quick_calls_are_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    """A call that has its answer is not reported, however long the process lives."""
    calls = SlowCalls()
    with calls.noted(URL):
        pass
    time.sleep(0.1)

    assert caplog.messages == []

"""The service's clock, as its answers tell it, or do not."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from prefect_azure_batch.ownership.heartbeat_blob import ServiceClock
from prefect_azure_batch.service.sas import CLOCK_SKEW

SECOND = timedelta(seconds=1)


def answer(**headers: str) -> Any:
    """Return an answer with these headers."""
    return SimpleNamespace(http_response=SimpleNamespace(headers=headers))


def test_time_of_an_answer() -> None:
    """Ages are measured by the Date of an answer, and by what has passed since."""
    clock = ServiceClock()

    clock(answer(Date="Sun, 29 Nov 2020 08:00:00 GMT"))

    assert abs(clock.now - datetime(2020, 11, 29, 8, tzinfo=UTC)) < SECOND
    assert clock.seconds_since(datetime(2020, 11, 29, 7, tzinfo=UTC)) == pytest.approx(3600, abs=1)


@pytest.mark.parametrize("headers", [{}, {"Date": ""}, {"Date": "today"}])
def test_answer_that_does_not_say_the_time(headers: dict[str, str]) -> None:
    """The time that is known already counts; without any, the earliest that it can be."""
    clock = ServiceClock()
    clock(answer(**headers))
    assert abs(clock.now - (datetime.now(UTC) - CLOCK_SKEW)) < SECOND

    clock(answer(Date="Sun, 29 Nov 2020 08:00:00 GMT"))
    clock(answer(**headers))
    assert abs(clock.now - datetime(2020, 11, 29, 8, tzinfo=UTC)) < SECOND


def test_nothing_is_younger_than_now() -> None:
    """What was written after the time of the answer is of no age."""
    assert ServiceClock().seconds_since(datetime.now(UTC)) == 0

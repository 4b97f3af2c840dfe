"""What is found out on this machine before anything is created."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from prefect_azure_batch.engine.preflight import check_clock
from prefect_azure_batch.errors import ConfigurationError

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize("minutes", [-7, 7])
def test_clock_that_is_wrong(minutes: int) -> None:
    """A clock so wrong that SAS URLs would not hold is an error that says by how much."""
    with pytest.raises(ConfigurationError, match=re.escape(f"{60 * minutes:+d} s")):
        check_clock("Sun, 22 Nov 2026 12:00:00 GMT", NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize("date", ["Sun, 22 Nov 2026 12:04:00 GMT", ""])
def test_clock_that_is_right(date: str) -> None:
    """Some minutes are allowed for; an answer without a date says nothing."""
    check_clock(date, NOW)

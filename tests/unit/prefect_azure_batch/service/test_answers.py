"""What is read of an answer beside its content, and what is taken for what it leaves out."""

from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import ServiceResponseError

from prefect_azure_batch.service.answers import content_of, instant_of, retry_after_s

DATE = "Sun, 29 Nov 2026 08:00:00 GMT"
LATER = "Sun, 29 Nov 2026 08:00:20 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (None, 0),
        ({}, 0),
        ({"Retry-After": "12"}, 12),
        ({"retry-after": "0.5"}, 0.5),
        ({"Retry-After": LATER, "Date": DATE}, 20),
        ({"Retry-After": DATE, "Date": LATER}, 0),
        ({"x-ms-retry-after-ms": "1500", "Retry-After": "9"}, 1.5),
        ({"Retry-After": "soon"}, 0),
        ({"Retry-After": "-3"}, 0),
        ({"Retry-After": "nan"}, 0),
        ({"Retry-After": "inf"}, 0),
        ({"Retry-After": ""}, 0),
    ],
)
def test_how_long_to_wait(headers: dict[str, str] | None, seconds: float) -> None:
    """Seconds, milliseconds and times are read, by the service's own clock; nonsense is nothing."""
    assert retry_after_s(headers) == seconds


def test_how_long_to_wait_without_a_date() -> None:
    """Without the service's clock this machine's counts."""
    until = datetime.now(UTC) + timedelta(seconds=100)

    assert 90 < retry_after_s({"Retry-After": f"{until:%a, %d %b %Y %H:%M:%S} GMT"}) <= 100


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        (DATE, datetime(2026, 11, 29, 8, tzinfo=UTC)),
        ("Sun, 29 Nov 2026 08:00:00", datetime(2026, 11, 29, 8, tzinfo=UTC)),
        (None, None),
        ("", None),
        ("yesterday", None),
        ("Sun, 99 Nov 2026 08:00:00 GMT", None),
    ],
)
def test_times_of_headers(text: str | None, instant: datetime | None) -> None:
    """A time is read as UTC; what is none, or not there, is nothing."""
    assert instant_of(text) == instant


def test_content_that_is_too_short() -> None:
    """A blob that is shorter than it says is not a whole answer."""

    class Found:
        """What the SDK gives of a blob of ten bytes."""

        size = 10

        def readall(self) -> bytes:
            """Return the beginning of it."""
            return b"half "

    with pytest.raises(ServiceResponseError, match="after 5 of 10 bytes"):
        content_of(Found())  # type: ignore[arg-type]

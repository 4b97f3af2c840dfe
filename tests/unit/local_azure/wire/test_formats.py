"""How the Batch emulator writes and reads times, durations, ETags and errors."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from local_azure.batch.wire.errors import BatchError, error_body
from local_azure.batch.wire.formats import (
    INFINITE,
    duration_s,
    etag_of,
    format_http_date,
    format_time,
    parse_duration,
    parse_http_date,
    parse_time,
    without_none,
)

NOON = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)


def test_times_are_utc_with_microseconds() -> None:
    """Whatever the zone, the wire shows Z."""
    east = NOON.astimezone(timezone(timedelta(hours=2)))

    assert format_time(east) == "2026-11-22T12:00:00.123456Z"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-22T12:00:00.123456Z", NOON),
        ("2026-11-22T12:00:00.1234567Z", NOON),
        ("2026-11-22T14:00:00.123456+02:00", NOON),
        ("2026-11-22T12:00:00.123456", NOON),
        ("2026-11-22T12:00:00Z", NOON.replace(microsecond=0)),
        ("2026-11-22T12:00Z", NOON.replace(microsecond=0)),
        ("2026-11-22T12:00:00.1Z", NOON.replace(microsecond=100_000)),
    ],
)
def test_times_are_read(text: str, instant: datetime) -> None:
    """Up to seven digits of a second, any zone, UTC without one."""
    assert parse_time(text) == instant


@pytest.mark.parametrize(
    "text", ["", "now", "2026-11-22", "2026-02-30T00:00:00Z", "12:00", "2026-11-22T12:00.5Z"]
)
def test_times_that_are_none(text: str) -> None:
    """They are no times."""
    with pytest.raises(ValueError, match=r"time|day"):
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("P1D", 86400),
        ("PT1H", 3600),
        ("PT15M", 900),
        ("PT15M00S", 900),
        ("PT01H00M00S", 3600),
        ("PT0.5S", 0.5),
        ("P1DT2H3M4.5S", 93784.5),
        ("PT0S", 0),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    """Days and smaller units, as the SDKs write them."""
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "P", "PT", "1D", "P1Y", "P1M", "PT-1S", "P1", "ten minutes"])
def test_durations_that_are_none(text: str) -> None:
    """They are no durations."""
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("body", "seconds"), [({}, None), ({"limit": INFINITE}, None), ({"limit": "PT2S"}, 2.0)]
)
def test_limits_in_seconds(body: dict[str, str], seconds: float | None) -> None:
    """An absent limit and the longest one are none."""
    assert duration_s(body, "limit") == seconds


def test_http_dates_go_there_and_back() -> None:
    """They are to the second, in GMT."""
    text = format_http_date(NOON)

    assert text == "Sun, 22 Nov 2026 12:00:00 GMT"
    assert parse_http_date(text) == NOON.replace(microsecond=0)


def test_an_http_date_without_a_zone_is_utc() -> None:
    """It can be compared with instants."""
    assert parse_http_date("Sun, 22 Nov 2026 12:00:00") == NOON.replace(microsecond=0)


def test_etags_differ_between_writes_of_one_instant() -> None:
    """They look like the service's and are not quoted."""
    etags = {etag_of(serial, NOON) for serial in range(1, 100)}

    assert len(etags) == 99
    assert all(etag.startswith("0x8D") and len(etag) == 17 for etag in etags)


def test_absent_members_are_left_out() -> None:
    """Nothing, false and empty are distinguished."""
    assert without_none({"a": None, "b": False, "c": []}) == {"b": False, "c": []}


def test_the_envelope_of_an_error() -> None:
    """Code, message with id and time, details."""
    error = BatchError(404, "PoolNotFound", "None such.", [("Id", "p")])

    body = error_body(error, "http://host", "id-1", NOON)

    assert body["code"] == "PoolNotFound"
    assert body["message"]["value"] == (
        "None such.\nRequestId:id-1\nTime:2026-11-22T12:00:00.123456Z"
    )
    assert body["values"] == [{"key": "Id", "value": "p"}]


def test_an_error_without_details_has_no_values() -> None:
    """An empty list is not sent."""
    assert "values" not in error_body(BatchError(500, "X", "x"), "http://host", "id", NOON)

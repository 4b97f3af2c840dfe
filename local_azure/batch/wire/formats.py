"""How things look on the wire: instants, durations, ETags, and what is left out."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

Json = dict[str, Any]

CONTENT_TYPE = "application/json;odata=minimalmetadata"
# What the service answers where no limit was set: the longest .NET TimeSpan.
INFINITE = "P10675199DT2H48M5.4775807S"

_DURATION = re.compile(
    r"P(?:(?P<days>\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?"
    r"(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,7}))?)?(Z|[+-]\d\d:\d\d)?", re.ASCII
)


def format_time(instant: datetime) -> str:
    """Write an instant as the service does: UTC, microseconds, Z."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Read an instant with up to seven fractional digits; without a zone it is UTC.

    Raises:
        ValueError: not an ISO 8601 instant.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"not an ISO 8601 time: {text}")
    minute, second, fraction, zone = found.groups()
    zone = "+00:00" if zone in (None, "Z") else zone
    # Python 3.15 reads no fraction of a minute.
    return datetime.fromisoformat(f"{minute}:{second or '00'}.{(fraction or '')[:6]:0<6}{zone}")


def format_http_date(instant: datetime) -> str:
    """Write an instant as RFC 1123 (header Last-Modified), to the second."""
    return format_datetime(instant.astimezone(UTC).replace(microsecond=0), usegmt=True)


def parse_http_date(text: str) -> datetime:
    """Read an RFC 1123 date; without a zone it is UTC.

    Raises:
        ValueError: not such a date.
    """
    found = parsedate_to_datetime(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def parse_duration(text: str) -> timedelta:
    """Read an ISO 8601 duration of days and smaller units.

    Raises:
        ValueError: not such a duration.
    """
    found = _DURATION.fullmatch(text)
    parts = {} if found is None else {k: float(v) for k, v in found.groupdict().items() if v}
    if not parts:
        raise ValueError(f"not an ISO 8601 duration: {text}")
    return timedelta(**parts)


def duration_s(body: Json, name: str) -> float | None:
    """Return a duration property in seconds; None where it is absent or unlimited."""
    text = body.get(name)
    return None if text is None or text == INFINITE else parse_duration(text).total_seconds()


def etag_of(serial: int, instant: datetime) -> str:
    """Make an ETag: it differs between any two writes because `serial` does."""
    return f"0x8D{int(instant.timestamp() * 1000) % 16**8:08X}{serial % 16**5:05X}"


def without_none(body: Json) -> Json:
    """Leave out absent members: the service never sends null."""
    return {name: value for name, value in body.items() if value is not None}

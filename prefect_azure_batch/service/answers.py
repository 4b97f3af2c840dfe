"""What an answer of a service says beside its content; a service may leave out any of it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from azure.core.exceptions import ServiceResponseError
from azure.storage.blob import StorageStreamDownloader

T = TypeVar("T")

_MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")


def optional(value: T) -> T | None:
    """Return a member of an answer that a service may leave out, whatever the SDK's types say."""
    return value


def instant_of(text: str | None) -> datetime | None:
    """Return the time that a header says, UTC; None if it says none that can be read."""
    try:
        instant = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def retry_after_s(headers: Mapping[str, str] | None) -> float:
    """Return the seconds that an answer asks to wait before the next call; 0 if it does not.

    Args:
        headers: of the answer, in any case of letters; None: it has none.
    """
    found = {name.lower(): value for name, value in (headers or {}).items()}
    for name in _MILLISECONDS:
        if (wait_ms := _number(found.get(name))) is not None:
            return wait_ms / 1000
    text = found.get("retry-after")
    if (wait_s := _number(text)) is not None:
        return wait_s
    until = instant_of(text)
    if until is None:
        return 0
    # Of the same clock if it says what time it is there.
    now = instant_of(found.get("date")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def content_of(found: StorageStreamDownloader[bytes]) -> bytes:
    """Return the content of a blob, or of the part of it that was asked for.

    Raises:
        ServiceResponseError: it broke off, which the SDK does not see where no length is given.
    """
    content = found.readall()
    if len(content) != found.size:
        raise ServiceResponseError(f"it broke off after {len(content)} of {found.size} bytes")
    return content


def _number(text: str | None) -> float | None:
    """Return a number of the wire, None if it is none that can be meant."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None

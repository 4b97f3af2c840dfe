"""Conditional headers: If-Match, If-Modified-Since and their opposites, compared with an entity."""

from datetime import datetime

from local_azure.batch.calls.call import Call
from local_azure.batch.state.records import Record
from local_azure.batch.wire.errors import BatchError, condition_not_met
from local_azure.batch.wire.formats import parse_http_date

_ETAG_HEADERS = ("if-match", "if-none-match")
_DATE_HEADERS = ("if-modified-since", "if-unmodified-since")


def check_conditions(call: Call, record: Record, *, write: bool) -> None:
    """Compare a request's conditional headers with an entity.

    Raises:
        BatchError: 412 for a write, 304 for a read, 400 for a date that is not valid.
    """
    etags = {name: call.headers.get(name, "").strip().strip('"') for name in _ETAG_HEADERS}
    modified = record.modified.replace(microsecond=0)
    since, unchanged_since = (_date(call, name) for name in _DATE_HEADERS)
    failed = (
        (etags["if-match"] not in {"", "*", record.etag})
        or etags["if-none-match"] in {"*", record.etag}
        or (since is not None and modified <= since)
        or (unchanged_since is not None and modified > unchanged_since)
    )
    if failed:
        raise condition_not_met(write=write)


def _date(call: Call, name: str) -> datetime | None:
    text = call.headers.get(name)
    if text is None:
        return None
    try:
        return parse_http_date(text)
    except ValueError as error:
        raise BatchError(400, "InvalidHeaderValue", f"The header {name} is not a date.") from error

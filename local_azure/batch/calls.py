"""One request as the operations see it, and the replies they make: no HTTP library in sight."""

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlencode

from local_azure.batch import odata
from local_azure.batch.state.account import Service
from local_azure.batch.state.records import Record
from local_azure.batch.state.store import Store
from local_azure.batch.wire.errors import BatchError, condition_not_met, invalid_query
from local_azure.batch.wire.formats import (
    Json,
    format_http_date,
    format_time,
    parse_http_date,
    without_none,
)

RecordT = TypeVar("RecordT", bound=Record)
ENTITY_FIELDS = frozenset(
    {"id", "url", "eTag", "lastModified", "creationTime", "state", "stateTransitionTime"}
    | {"displayName"}
)
HISTORY_FIELDS = frozenset({"previousState", "previousStateTransitionTime"})

_ETAG_HEADERS = ("if-match", "if-none-match")
_DATE_HEADERS = ("if-modified-since", "if-unmodified-since")


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request: `ids` from its path, `query` by lower-case name, `body` parsed from JSON."""

    service: Service
    base_url: str
    path: str
    ids: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: object = None
    body_size: int = 0

    @property
    def store(self) -> Store:
        """The account's store."""
        return self.service.store

    def url(self, *parts: str) -> str:
        """Give the URL of a resource of the account."""
        return "/".join([self.base_url, *(quote(part, safe="") for part in parts)])


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What an operation answers; `file` is sent from `first` to `last` (bytes, inclusive)."""

    status: int = 200
    body: Json | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None
    first: int = 0
    last: int | None = None


def common_view(record: Record, url: str) -> Json:
    """Write what all entities have on the wire."""
    return {
        "id": record.id,
        "url": url,
        "eTag": record.etag,
        "lastModified": format_time(record.modified),
        "creationTime": format_time(record.created),
        "state": record.state,
        "stateTransitionTime": format_time(record.state_since),
    }


def history_view(record: Record) -> Json:
    """Write what jobs and tasks have on the wire of their state before."""
    since = record.previous_since
    return {
        "previousState": record.previous_state,
        "previousStateTransitionTime": since and format_time(since),
    }


def written(record: Record, url: str, status: int, *, location: bool = False) -> Reply:
    """Answer a write with the headers of the entity it left."""
    headers = {
        "ETag": record.etag,
        "Last-Modified": format_http_date(record.modified),
        "DataServiceId": url,
    }
    return Reply(status=status, headers=headers | ({"Location": url} if location else {}))


def entity(call: Call, record: Record, view: Json, kind: str, fields: frozenset[str]) -> Reply:
    """Answer a read of one entity, with $select and conditional headers."""
    check_conditions(call, record, write=False)
    body = odata.parse_select(call.query.get("$select"), fields)(view)
    headers = {"ETag": record.etag, "Last-Modified": format_http_date(record.modified)}
    metadata = {"odata.metadata": f"{call.base_url}/$metadata#{kind}/@Element"}
    return Reply(body=metadata | without_none(body), headers=headers)


def check_conditions(call: Call, record: Record, *, write: bool) -> None:
    """Hold a request's conditional headers against an entity.

    Raises:
        BatchError: 412 for a write, 304 for a read, 400 for a date that is none.
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
        raise BatchError(400, "InvalidHeaderValue", f"The header {name} is no date.") from error


def listing(
    call: Call,
    kind: str,
    records: Iterable[RecordT],
    view: Callable[[RecordT], Json],
    fields: frozenset[str],
) -> Reply:
    """Answer a list of records, in pages that go on after the last record's serial."""
    after = _skip_token(call)
    later = (record for record in records if record.serial > after)
    return page(call, kind, ((record.serial, view(record)) for record in later), fields)


def page(call: Call, kind: str, items: Iterable[tuple[int, Json]], fields: frozenset[str]) -> Reply:
    """Answer one page of a list: filtered and projected.

    Args:
        call: the request, whose $skiptoken is the position after which the page begins.
        kind: what the list is of, for odata.metadata.
        items: ascending positions, and the entities there.
        fields: the names that may start a property path.
    """
    passes = odata.parse_filter(call.query.get("$filter"), fields)
    project = odata.parse_select(call.query.get("$select"), fields)
    size = odata.page_size(call.query.get("maxresults"))
    after = last = _skip_token(call)
    value: list[Json] = []
    body: Json = {"odata.metadata": f"{call.base_url}/$metadata#{kind}", "value": value}
    for position, entity_view in items:
        wire = without_none(entity_view)
        if position <= after or not passes(wire):
            continue
        if len(value) == size:
            body["odata.nextLink"] = _next_link(call, last)
            break
        value.append(project(wire))
        last = position
    return Reply(body=body)


def _skip_token(call: Call) -> int:
    text = call.query.get("$skiptoken")
    if not text:
        return 0
    try:
        return int(base64.urlsafe_b64decode(text))
    except ValueError as error:
        raise invalid_query("$skiptoken", text, "it is not of an odata.nextLink") from error


def _next_link(call: Call, serial: int) -> str:
    token = base64.urlsafe_b64encode(str(serial).encode()).decode()
    query = {name: text for name, text in call.query.items() if name != "$skiptoken"}
    return f"{call.base_url}{call.path}?{urlencode(query | {'$skiptoken': token}, safe='$')}"

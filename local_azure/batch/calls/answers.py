"""The answers that operations have in common: of a write, of one entity, of a page of a list."""

import asyncio
import base64
import json
import time
from collections.abc import Callable, Iterable
from typing import TypeVar
from urllib.parse import urlencode

from local_azure.batch.calls import odata
from local_azure.batch.calls.call import Call, Reply
from local_azure.batch.calls.conditions import check_conditions
from local_azure.batch.state.records import Record
from local_azure.batch.wire.errors import invalid_query
from local_azure.batch.wire.formats import Json, format_http_date, without_none

RecordT = TypeVar("RecordT", bound=Record)

# A page may be shorter than asked for: 1000 of the longest tasks would be gigabytes.
_MAX_PAGE_BYTES = 4 * 1024 * 1024
_TURN_S = 0.01


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


class Page:
    """One page of a list, filtered and projected; written as it is filled, since it may be long.

    Args:
        call: the request, whose $skiptoken is the position after which the page begins.
        kind: what the list is of, for odata.metadata.
        fields: the names that may start a property path.
    """

    def __init__(self, call: Call, kind: str, fields: frozenset[str]) -> None:
        self._call = call
        self._metadata = f"{call.base_url}/$metadata#{kind}"
        self._passes = odata.parse_filter(call.query.get("$filter"), fields)
        self._project = odata.parse_select(call.query.get("$select"), fields)
        self._most = odata.page_size(call.query.get("maxresults"))
        self._after = self._last = _skip_token(call)
        self._written: list[str] = []
        self._bytes = 0
        self._next_link: str | None = None

    @property
    def after(self) -> int:
        """The position after which the page begins."""
        return self._after

    def take(self, position: int, entity_view: Json) -> bool:
        """Take an entity at a position higher than those before; False: the page was full."""
        wire = without_none(entity_view)
        if position <= self._after or not self._passes(wire):
            return True
        if len(self._written) == self._most or self._bytes > _MAX_PAGE_BYTES:
            self._next_link = _next_link(self._call, self._last)
            return False
        text = json.dumps(self._project(wire))
        self._written.append(text)
        self._bytes += len(text)
        self._last = position
        return True

    def fill(self, items: Iterable[tuple[int, Json]]) -> None:
        """Take ascending positions and the entities there."""
        for position, entity_view in items:
            if not self.take(position, entity_view):
                return

    def reply(self) -> Reply:
        """Return the answer."""
        rest: Json = {} if self._next_link is None else {"odata.nextLink": self._next_link}
        head = json.dumps({"odata.metadata": self._metadata})[:-1]
        tail = json.dumps(rest)[1:]
        comma = ", " if rest else ""
        return Reply(text=f'{head}, "value": [{", ".join(self._written)}]{comma}{tail}')


async def listing(
    call: Call,
    kind: str,
    records: Iterable[RecordT],
    view: Callable[[RecordT], Json],
    fields: frozenset[str],
) -> Reply:
    """Answer a list of records, in pages; each continues after the serial of the last record."""
    items = Page(call, kind, fields)
    # As they are now: they may change while others have their turn.
    later = [record for record in records if record.serial > items.after]
    return await _filled(items, ((record.serial, view(record)) for record in later))


async def page(
    call: Call, kind: str, items: Iterable[tuple[int, Json]], fields: frozenset[str]
) -> Reply:
    """Answer one page of a list of ascending positions and the entities there."""
    return await _filled(Page(call, kind, fields), items)


async def _filled(items: Page, found: Iterable[tuple[int, Json]]) -> Reply:
    """Fill a page; a filter may look at many entities, so others have their turn meanwhile."""
    turn_ends = time.monotonic() + _TURN_S
    for position, entity_view in found:
        if not items.take(position, entity_view):
            break
        if time.monotonic() > turn_ends:
            await asyncio.sleep(0)
            turn_ends = time.monotonic() + _TURN_S
    return items.reply()


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

"""The answers that operations have in common: of a write, of one entity, of a page of a list."""

import base64
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


def listing(
    call: Call,
    kind: str,
    records: Iterable[RecordT],
    view: Callable[[RecordT], Json],
    fields: frozenset[str],
) -> Reply:
    """Answer a list of records, in pages; each continues after the serial of the last record."""
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

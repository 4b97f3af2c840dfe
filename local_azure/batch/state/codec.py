"""Records as JSON text and back, for the journal."""

import dataclasses
import json
import types
import typing
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

from local_azure.batch.state.records import Job, Node, Pool, Record, Task

KINDS: dict[str, type[Record]] = {kind.noun: kind for kind in (Pool, Node, Job, Task)}


def encode(record: Record) -> str:
    """Write a record as JSON; absent values are left out."""
    return json.dumps(_plain(record), separators=(",", ":"))


def decode(noun: str, text: str) -> Record:
    """Read what `encode` wrote of a record of that noun (Pool, Node, Job, Task)."""
    record: Record = _build(KINDS[noun], json.loads(text))
    return record


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found = {name: getattr(value, name) for name in _hints(type(value))}
        return {name: _plain(item) for name, item in found.items() if item is not None}
    return value.isoformat() if isinstance(value, datetime) else value


@cache
def _hints(kind: type) -> dict[str, Any]:
    """Return the types of a dataclass's fields, of optional ones without the None."""
    hints = {name: _required(hint) for name, hint in typing.get_type_hints(kind).items()}
    # A record's previous state is of the type of its state.
    own = {name: hints["state"] if hint is StrEnum else hint for name, hint in hints.items()}
    return {item.name: own[item.name] for item in dataclasses.fields(kind)}


def _required(hint: Any) -> Any:
    if typing.get_origin(hint) is types.UnionType:
        return next(part for part in typing.get_args(hint) if part is not type(None))
    return typing.get_origin(hint) or hint


def _build(kind: type, given: dict[str, Any]) -> Any:
    hints = _hints(kind)
    return kind(**{name: _value(hints[name], item) for name, item in given.items()})


def _value(hint: Any, item: Any) -> Any:
    if hint is datetime:
        return datetime.fromisoformat(item)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, item)
    if hint is tuple:
        return tuple(item)
    return hint(item) if isinstance(hint, type) and issubclass(hint, StrEnum) else item

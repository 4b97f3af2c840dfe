"""OData as far as the Batch service speaks it: $filter, $select, pages.

Grammar of a filter: `or` of `and` of comparisons (eq ne lt le gt ge), parentheses, `not`,
startswith(name, 'text'); values are 'text', numbers, true, false and DateTime'...'.
"""

import operator
import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from local_azure.batch.wire.errors import BatchError, invalid_query
from local_azure.batch.wire.formats import Json, parse_time

Predicate = Callable[[Json], bool]
MAX_PAGE = 1000

_TOKEN = re.compile(
    r"\s*(?:(?P<datetime>[Dd]ate[Tt]ime'[^']*')|(?P<text>'(?:[^']|'')*')"
    r"|(?P<number>-?\d+(?:\.\d+)?)(?![\w-])|(?P<name>[A-Za-z_][\w/]*)|(?P<mark>[(),]))"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


_WORDS = {"true": True, "false": False, "null": None}


class _FilterError(ValueError):
    """The filter does not follow the grammar or names what does not exist."""


def value_at(entity: Json, path: str) -> Any:
    """Return the member at a path such as executionInfo/exitCode; None where it is absent."""
    value: Any = entity
    for step in path.split("/"):
        value = value.get(step) if isinstance(value, dict) else None
    return value


class _FilterParser:
    """Recursive descent over the tokens of one filter."""

    def __init__(self, text: str, fields: frozenset[str]) -> None:
        self._tokens = list(_tokens(text))
        self._fields = fields

    def parse(self) -> Predicate:
        predicate = self._any_of()
        if self._tokens:
            raise _FilterError(f"unexpected {self._tokens[0][1]!r}")
        return predicate

    def _peek(self) -> str:
        return self._tokens[0][1] if self._tokens else "the end"

    def _take(self, *kinds: str) -> tuple[str, str]:
        if not self._tokens or self._tokens[0][0] not in kinds:
            raise _FilterError(f"expected {' or '.join(kinds)}, found {self._peek()!r}")
        return self._tokens.pop(0)

    def _mark(self, mark: str) -> None:
        if self._take("mark")[1] != mark:
            raise _FilterError(f"expected {mark!r}")

    def _any_of(self) -> Predicate:
        parts = [self._all_of()]
        while self._peek() == "or":
            self._tokens.pop(0)
            parts.append(self._all_of())
        return parts[0] if len(parts) == 1 else lambda entity: any(p(entity) for p in parts)

    def _all_of(self) -> Predicate:
        parts = [self._term()]
        while self._peek() == "and":
            self._tokens.pop(0)
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else lambda entity: all(p(entity) for p in parts)

    def _term(self) -> Predicate:
        if self._peek() == "(":
            self._mark("(")
            inner = self._any_of()
            self._mark(")")
            return inner
        if self._peek() == "not":
            self._tokens.pop(0)
            negated = self._term()
            return lambda entity: not negated(entity)
        if self._peek() == "startswith":
            return self._starts_with()
        return self._comparison()

    def _name(self) -> str:
        name = self._take("name")[1]
        if name.split("/")[0] not in self._fields:
            raise _FilterError(f"there is no property {name!r}")
        return name

    def _starts_with(self) -> Predicate:
        self._take("name")
        self._mark("(")
        name = self._name()
        self._mark(",")
        prefix = _text(self._take("text")[1]).lower()
        self._mark(")")
        return lambda entity: str(value_at(entity, name) or "").lower().startswith(prefix)

    def _comparison(self) -> Predicate:
        name = self._name()
        verb = self._take("name")[1]
        if verb not in _COMPARE:
            raise _FilterError(f"unknown operator {verb!r}")
        wanted = _literal(*self._take("text", "number", "datetime", "name"))
        compare = _COMPARE[verb]

        def holds(entity: Json) -> bool:
            member = value_at(entity, name)
            if member is None or wanted is None:
                return verb == ("eq" if member is wanted else "ne")
            found = _comparable(member, wanted)
            return verb == "ne" if found is None else compare(found, wanted)

        return holds


def _tokens(text: str) -> Iterable[tuple[str, str]]:
    at, text = 0, text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise _FilterError(f"cannot read {text[at:]!r}")
        yield found.lastgroup, found.group(found.lastgroup)
        at = found.end()


def _text(token: str) -> str:
    return token[1:-1].replace("''", "'")


def _literal(kind: str, token: str) -> str | float | bool | datetime | None:
    if kind == "text":
        return _text(token).lower()
    if kind == "number":
        return float(token)
    if kind == "datetime":
        return parse_time(_text(token[8:]))
    if token in _WORDS:
        return _WORDS[token]
    raise _FilterError(f"{token!r} is not a value")


def _time(found: Any) -> datetime | None:
    try:
        return parse_time(found) if isinstance(found, str) else None
    except ValueError:
        return None


def _comparable(found: Any, wanted: object) -> Any:
    """Return a member's value in the type of the value it is compared with; None if it has none."""
    if isinstance(wanted, datetime):
        return _time(found)
    if isinstance(found, str):
        return found.lower() if isinstance(wanted, str) else None
    if isinstance(wanted, bool) or isinstance(found, bool):
        return found if isinstance(found, bool) and isinstance(wanted, bool) else None
    return found if isinstance(found, (int, float)) and isinstance(wanted, float) else None


def parse_filter(text: str | None, fields: frozenset[str]) -> Predicate:
    """Make a predicate of a $filter; without one everything passes.

    Args:
        text: the filter.
        fields: the names that may start a property path.

    Raises:
        BatchError: 400 InvalidQueryParameterValue.
    """
    if not text:
        return lambda _entity: True
    try:
        return _FilterParser(text, fields).parse()
    except (ValueError, RecursionError) as error:
        raise invalid_query("$filter", text, str(error)) from error


def parse_select(text: str | None, fields: frozenset[str]) -> Callable[[Json], Json]:
    """Make a projection of a $select; without one entities stay whole.

    Raises:
        BatchError: 400 InvalidQueryParameterValue.
    """
    names = {name.strip() for name in (text or "").split(",")} - {""}
    if not names:
        return lambda entity: entity
    unknown = sorted(name for name in names if name.split("/")[0] not in fields)
    if unknown:
        raise invalid_query("$select", text or "", f"there is no property {unknown[0]!r}")
    roots = {name.split("/")[0] for name in names}
    return lambda entity: {name: value for name, value in entity.items() if name in roots}


def page_size(text: str | None) -> int:
    """Read maxresults: 1 to 1000.

    Raises:
        BatchError: 400 OutOfRangeQueryParameterValue.
    """
    is_number = text is not None and re.fullmatch("[0-9]{1,30}", text)
    size = int(text) if text and is_number else (MAX_PAGE if not text else 0)
    if not 1 <= size <= MAX_PAGE:
        reason = f"maxresults must be a number from 1 to {MAX_PAGE}, not {text}."
        raise BatchError(400, "OutOfRangeQueryParameterValue", reason)
    return size

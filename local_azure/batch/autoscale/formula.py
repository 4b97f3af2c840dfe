"""The language of autoscale formulas: read, checked and evaluated; docs/emulator.md lists it.

Values are numbers, lists of numbers (samples), instants, intervals and deallocation options.
A name or a function that is not here is an error that names it.
"""

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Protocol

from local_azure.batch.wire.formats import format_time, parse_time

# A number (also a truth value: 1 or 0), list of numbers, datetime, timedelta, or option.
Value = Any
Expression = Callable[["Scope"], Value]

TARGETS = ("$TargetDedicatedNodes", "$TargetLowPriorityNodes")
# As a variable of the user's own it would be accepted, and change nothing.
_RETIRED = "$TargetDedicated"
OPTION = "$NodeDeallocationOption"
OPTIONS = ("requeue", "terminate", "taskcompletion", "retaineddata")
INTERVALS = {
    "TimeInterval_Zero": timedelta(),
    "TimeInterval_Microsecond": timedelta(microseconds=1),
    "TimeInterval_Millisecond": timedelta(milliseconds=1),
    "TimeInterval_Second": timedelta(seconds=1),
    "TimeInterval_Minute": timedelta(minutes=1),
    "TimeInterval_Hour": timedelta(hours=1),
    "TimeInterval_Day": timedelta(days=1),
    "TimeInterval_Week": timedelta(weeks=1),
    "TimeInterval_Year": timedelta(days=365),
}

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?|\.\d+)|(?P<name>\$?[A-Za-z_]\w*)|\"(?P<text>[^\"]*)\""
    r"|(?P<mark>&&|\|\||[<>=!]=|[-+*/<>!?:;,.()=]))"
)
_LEVELS: tuple[Mapping[str, Callable[[Any, Any], Any]], ...] = (
    {"||": lambda left, right: float(bool(left) or bool(right))},
    {"&&": lambda left, right: float(bool(left) and bool(right))},
    {"==": operator.eq, "!=": operator.ne},
    {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge},
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": operator.truediv},
)


class FormulaError(ValueError):
    """The formula does not follow the grammar, or cannot be evaluated; the text says why."""


class SampleSource(Protocol):
    """The history of the metrics, newest first."""

    def newest(self, metric: str, count: int) -> list[float]:
        """Return the last `count` samples, or fewer where there are fewer."""

    def between(self, metric: str, first: datetime, last: datetime) -> list[float]:
        """Return the samples of a span of time."""

    def percent(self, metric: str, first: datetime, last: datetime) -> float:
        """Return how much of the samples that a span of time should have is there, 0 to 100."""


@dataclass(kw_only=True)
class Scope:
    """What a formula sees.

    Attributes:
        now: what time() is.
        current: variables that can be read before they are assigned.
        samples: history of the metrics.
        variables: what the formula has assigned, in order.
    """

    now: datetime
    current: Mapping[str, Value]
    samples: SampleSource
    variables: dict[str, Value] = field(default_factory=dict)

    def written(self) -> str:
        """Write the assigned variables as the service does: name=value, joined by semicolons."""
        return ";".join(f"{name}={_written(value)}" for name, value in self.variables.items())


def _written(value: Value) -> str:
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def parse(
    text: str, *, metrics: frozenset[str], readable: frozenset[str]
) -> Callable[[Scope], None]:
    """Read a formula; what comes back evaluates it and leaves its variables in the scope.

    Args:
        text: the formula.
        metrics: the variables that have samples.
        readable: the variables that have a value without being assigned.

    Raises:
        FormulaError: the formula does not follow the grammar, or names what there is not. Its
            evaluation raises it too: wrong types, a division by zero, samples that are not there.
    """
    try:
        statements = list(_FormulaParser(text, metrics, readable).statements())
    except RecursionError as error:
        raise FormulaError("the formula is nested too deeply") from error

    def evaluate(scope: Scope) -> None:
        for name, expression in statements:
            try:
                scope.variables[name] = _checked(name, expression(scope))
            except FormulaError:
                raise
            except (ArithmeticError, RecursionError, TypeError, ValueError) as error:
                raise FormulaError(f"{name} cannot be evaluated: {error}") from error

    return evaluate


def _checked(name: str, value: Value) -> Value:
    """Refuse what a variable of the service cannot hold."""
    if name in TARGETS and not (isinstance(value, float) and math.isfinite(value)):
        raise FormulaError(f"{name} must be a number")
    if name == OPTION and value not in OPTIONS:
        raise FormulaError(f"{name} must be one of {', '.join(OPTIONS)}")
    return value


class _FormulaParser:
    """Recursive descent over the tokens of one formula."""

    def __init__(self, text: str, metrics: frozenset[str], readable: frozenset[str]) -> None:
        self._tokens = list(_tokens(text))
        self._metrics = metrics
        self._known = {*readable, *TARGETS}

    def statements(self) -> Iterator[tuple[str, Expression]]:
        while self._tokens:
            if self._skip(";"):
                continue
            name = self._take("name")
            if name in self._metrics or name == _RETIRED:
                raise FormulaError(f"{name} cannot be assigned")
            self._expect("=")
            yield name, self._expression()
            self._known.add(name)
            if self._tokens:
                self._expect(";")

    def _peek(self) -> str:
        return self._tokens[0][1] if self._tokens else "the end"

    def _skip(self, mark: str) -> bool:
        found = bool(self._tokens) and self._tokens[0] == ("mark", mark)
        if found:
            self._tokens.pop(0)
        return found

    def _expect(self, mark: str) -> None:
        if not self._skip(mark):
            raise FormulaError(f"expected {mark!r}, found {self._peek()!r}")

    def _take(self, kind: str) -> str:
        if not self._tokens or self._tokens[0][0] != kind:
            raise FormulaError(f"expected a {kind}, found {self._peek()!r}")
        return self._tokens.pop(0)[1]

    def _expression(self) -> Expression:
        condition = self._binary(0)
        if not self._skip("?"):
            return condition
        then = self._expression()
        self._expect(":")
        other = self._expression()
        return lambda scope: then(scope) if condition(scope) else other(scope)

    def _binary(self, level: int) -> Expression:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while self._tokens and self._tokens[0][0] == "mark" and self._peek() in _LEVELS[level]:
            compute = _LEVELS[level][self._take("mark")]
            left = _combined(compute, left, self._binary(level + 1))
        return left

    def _unary(self) -> Expression:
        if self._skip("-"):
            negated = self._unary()
            return lambda scope: -negated(scope)
        if self._skip("!"):
            denied = self._unary()
            return lambda scope: float(not denied(scope))
        return self._primary()

    def _primary(self) -> Expression:
        if self._skip("("):
            inner = self._expression()
            self._expect(")")
            return inner
        if self._tokens and self._tokens[0][0] == "number":
            number = float(self._take("number"))
            return lambda _: number
        name = self._take("name")
        if self._skip("("):
            return self._call(name)
        if name in self._metrics and (name not in self._known or self._peek() == "."):
            return self._sampled(name)
        return self._named(name)

    def _arguments(self) -> list[Expression]:
        """Read the arguments up to the closing parenthesis; the opening one has been read."""
        found: list[Expression] = []
        while not self._skip(")"):
            if found:
                self._expect(",")
            found.append(self._expression())
        return found

    def _call(self, name: str) -> Expression:
        if name == "time":
            return self._time()
        if name not in _FUNCTIONS:
            raise FormulaError(f"there is no function {name}")
        compute, arguments = _FUNCTIONS[name], self._arguments()
        return lambda scope: compute(_numbers(name, [given(scope) for given in arguments]))

    def _time(self) -> Expression:
        if self._tokens and self._tokens[0][0] == "text":
            text = self._take("text")
            self._expect(")")
            try:
                instant = parse_time(text)
            except ValueError as error:
                raise FormulaError(f"time: {error}") from error
            return lambda _: instant
        self._expect(")")
        return lambda scope: scope.now

    def _sampled(self, metric: str) -> Expression:
        if not self._skip("."):
            raise FormulaError(f"{metric} has samples only: {metric}.GetSample(...)")
        method = self._take("name")
        if method not in _METHODS:
            raise FormulaError(f"there is no {metric}.{method}")
        self._expect("(")
        compute, arguments = _METHODS[method], self._arguments()
        return lambda scope: compute(scope, metric, [given(scope) for given in arguments])

    def _named(self, name: str) -> Expression:
        if name in OPTIONS:
            return lambda _: name
        if name in INTERVALS:
            return lambda _: INTERVALS[name]
        if name not in self._known:
            raise FormulaError(f"there is no variable {name}")
        return lambda scope: scope.variables.get(name, scope.current.get(name))


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    text = _COMMENT.sub(" ", text).rstrip()
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise FormulaError(f"cannot read {text[at:].strip()[:20]!r}")
        yield found.lastgroup, found.group(found.lastgroup)
        at = found.end()


def _combined(
    compute: Callable[[Any, Any], Any], left: Expression, right: Expression
) -> Expression:
    def value(scope: Scope) -> Value:
        operands = left(scope), right(scope)
        if any(isinstance(operand, (list, str)) for operand in operands):
            raise TypeError("samples and options cannot be computed with")
        found = compute(*operands)
        return float(found) if isinstance(found, (bool, int)) else found

    return value


def _numbers(name: str, values: Sequence[Value]) -> list[float]:
    """Return arguments as one list of numbers: lists among them are flattened."""
    numbers = list(chain.from_iterable(v if isinstance(v, list) else [v] for v in values))
    if not numbers or not all(isinstance(number, float) for number in numbers):
        raise FormulaError(f"{name} takes numbers, one at least")
    return numbers


_FUNCTIONS: dict[str, Callable[[list[float]], float]] = {
    "avg": lambda numbers: sum(numbers) / len(numbers),
    "max": max,
    "min": min,
    "sum": lambda numbers: float(sum(numbers)),
}


def _span(scope: Scope, arguments: Sequence[Value]) -> tuple[datetime, datetime]:
    """Read where samples begin and end: intervals back from now, or instants."""
    instants = [scope.now - given if isinstance(given, timedelta) else given for given in arguments]
    if len(instants) not in {1, 2} or not all(isinstance(given, datetime) for given in instants):
        raise FormulaError("samples are asked for by number, by interval or by time")
    first, last = min(instants), max(instants)
    return (first, scope.now) if len(instants) == 1 else (first, last)


def _get_sample(scope: Scope, metric: str, arguments: Sequence[Value]) -> list[float]:
    """GetSample(count) | GetSample(interval[, percent]) | GetSample(start, end[, percent])."""
    given, wanted = list(arguments), 0.0
    if len(given) == 1 and isinstance(given[0], float):
        found = scope.samples.newest(metric, max(0, int(given[0])))
    else:
        if len(given) > 1 and isinstance(given[-1], float):
            wanted = given.pop()
        span = _span(scope, given)
        if scope.samples.percent(metric, *span) < wanted:
            raise FormulaError(f"{metric} has fewer than {wanted:g} % of its samples")
        found = scope.samples.between(metric, *span)
    if not found:
        raise FormulaError(f"{metric} has no samples of that time")
    return found


def _get_percent(scope: Scope, metric: str, arguments: Sequence[Value]) -> float:
    """GetSamplePercent(interval) | GetSamplePercent(start, end)."""
    return scope.samples.percent(metric, *_span(scope, arguments))


_METHODS: dict[str, Callable[[Scope, str, Sequence[Value]], Value]] = {
    "GetSample": _get_sample,
    "GetSamplePercent": _get_percent,
}

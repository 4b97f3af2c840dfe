"""What a test lets go wrong: rules that say which requests, commands and resizes fail, how often.

A rule counts what it matches; the same rules and the same requests give the same faults.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Self


class Kind(StrEnum):
    """What a fault does."""

    ERROR = "error"
    """A request is answered with an error, and has no effect."""
    RESET = "reset"
    """A request has no effect, and its connection is reset."""
    LOST = "lost"
    """A request takes effect; instead of its answer the connection is reset."""
    LATENCY = "latency"
    """A request is answered later."""
    EXIT_CODE = "exitcode"
    """A command of a task or of a start task seems to end with another exit code."""
    NODE_LOST = "nodelost"
    """A node that begins to run tasks is lost: preempted if it can be, else unusable."""
    RESIZE = "resize"
    """A resize makes no node and reports an error."""


WIRE = (Kind.ERROR, Kind.RESET, Kind.LOST)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One kind of fault: what it happens to, how often, and what it looks like.

    Of what the patterns match, it happens to the first N, to every Nth, or to each with a
    probability; where several of these are given, all must hold.

    Attributes:
        operation: name as in docs/emulator.md, with wildcards; only requests have one.
        method: HTTP method; only requests have one.
        path: of a request, with wildcards; of a command /jobs/{id}/tasks/{id} or
            /pools/{id}/nodes/{id}/startTask; of a node /pools/{id}/nodes/{id}; of a resize
            /pools/{id}.
        first: how many of the first matches; None: no limit.
        every: N, for every Nth match.
        probability: from 0 to 1, drawn from a generator that is seeded with `seed`.
        status: HTTP status of an error.
        code: error code of an error or a resize; None: the usual one.
        retry_after_s: seconds for the header Retry-After; None: no header.
        seconds: latency, or how long a node that is lost runs before, in emulated time.
        exit_code: what a command seems to end with.

    Raises:
        ValueError: a number is out of its range.
    """

    kind: Kind
    operation: str = "*"
    method: str = "*"
    path: str = "*"
    first: int | None = None
    every: int = 1
    probability: float = 1.0
    seed: int = 0
    status: int = 503
    code: str | None = None
    retry_after_s: int | None = None
    seconds: float = 0.0
    exit_code: int = 1

    def __post_init__(self) -> None:
        """Check the numbers."""
        ranges = {
            "first": self.first is None or self.first >= 0,
            "every": self.every >= 1,
            "probability": 0 <= self.probability <= 1,
            "status": 400 <= self.status <= 599,  # noqa: PLR2004 - the range of HTTP errors
            "retry_after_s": self.retry_after_s is None or self.retry_after_s >= 0,
            "seconds": 0 <= self.seconds < float("inf"),
            "exit_code": 0 <= self.exit_code <= 255,  # noqa: PLR2004 - the range of exit codes
        }
        for name, is_right in ranges.items():
            if not is_right:
                raise ValueError(f"{name} of a fault is out of range: {getattr(self, name)}")

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """Make a rule from JSON.

        Raises:
            ValueError: a name is unknown, or a value of the wrong type.
        """
        for name, value in given.items():
            if name not in _TYPES:
                raise ValueError(f"a fault has no {name}; it has {', '.join(_TYPES)}")
            if isinstance(value, bool) or not isinstance(value, _TYPES[name]):
                raise ValueError(f"{name} of a fault cannot be {value!r}")  # noqa: TRY004 - of JSON
        if "kind" not in given:
            raise ValueError("a fault needs a kind")
        return cls(**{**given, "kind": Kind(given["kind"])})

    def write(self) -> dict[str, Any]:
        """Return the rule as JSON."""
        return asdict(self)


_TEXT, _WHOLE, _NUMBER = (str,), (int,), (int, float)
_TYPES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("kind", "operation", "method", "path"), _TEXT),
    **dict.fromkeys(("every", "seed", "status", "exit_code"), _WHOLE),
    **dict.fromkeys(("probability", "seconds"), _NUMBER),
    **dict.fromkeys(("first", "retry_after_s"), (*_WHOLE, type(None))),
    "code": (*_TEXT, type(None)),
}


class _Counted:
    """A rule, and how often it matched and struck."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.matches = self.hits = 0
        self._random = random.Random(rule.seed)  # noqa: S311 - it is to be repeatable

    def strikes(self) -> bool:
        """Count a match; return whether the fault happens to it."""
        rule = self.rule
        self.matches += 1
        drawn = self._random.random() < rule.probability
        early = rule.first is None or self.matches <= rule.first
        hit = drawn and early and self.matches % rule.every == 0
        self.hits += hit
        return hit


class Faults:
    """The rules that apply now."""

    def __init__(self) -> None:
        self._rules: dict[int, _Counted] = {}
        self._last = 0

    def add(self, rule: Rule) -> int:
        """Add a rule; return its number."""
        self._last += 1
        self._rules[self._last] = _Counted(rule)
        return self._last

    def clear(self) -> None:
        """Remove all rules."""
        self._rules.clear()

    @property
    def report(self) -> list[dict[str, Any]]:
        """Every rule with its number, how often it matched, and how often it struck."""
        return [
            {"id": number, "rule": counted.rule.write()}
            | {"matches": counted.matches, "hits": counted.hits}
            for number, counted in self._rules.items()
        ]

    def latency(self, operation: str, method: str, path: str) -> float:
        """Return the seconds by which a request is to be answered later: those of all its rules."""
        return sum(rule.seconds for rule in self._struck((Kind.LATENCY,), operation, method, path))

    def on_request(self, operation: str, method: str, path: str) -> Rule | None:
        """Return what happens to a request, if anything: by the first rule that strikes."""
        return next(self._struck(WIRE, operation, method, path), None)

    def on_command(self, path: str) -> Rule | None:
        """Return what happens to a command, if anything."""
        return next(self._struck((Kind.EXIT_CODE,), "", "", path), None)

    def on_node(self, path: str) -> Rule | None:
        """Return what happens to a node that begins to run tasks, if anything."""
        return next(self._struck((Kind.NODE_LOST,), "", "", path), None)

    def on_resize(self, path: str) -> Rule | None:
        """Return what happens to a resize, if anything."""
        return next(self._struck((Kind.RESIZE,), "", "", path), None)

    def _struck(
        self, kinds: tuple[Kind, ...], operation: str, method: str, path: str
    ) -> Iterator[Rule]:
        for counted in list(self._rules.values()):
            rule = counted.rule
            if (
                rule.kind in kinds
                and fnmatchcase(operation, rule.operation)
                and fnmatchcase(method, rule.method)
                and fnmatchcase(path, rule.path)
                and counted.strikes()
            ):
                yield rule

"""What passes by itself: which errors, for how long they are waited out, and at what pace."""

import time
from collections.abc import Callable
from typing import TypeVar

from prefect_azure_batch.credentials.slow_calls import AGAIN_AFTER_S, VISIBLE_AFTER_S, warn
from prefect_azure_batch.errors import ServiceError
from prefect_azure_batch.service.signals import pause

R = TypeVar("R")

TRANSIENT_CODES = frozenset(
    {
        "ServerBusy",
        "OperationTimedOut",
        "InternalError",
        "TooManyRequests",
        "ContainerBeingDeleted",
    }
)
TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
# A run outlives five minutes without a service; heartbeats, without which it must stop, have ten.
OUTAGE_LIMIT_S = 420


def is_retryable(error: object) -> bool:
    """Tell whether the same call can succeed later: the one place that says so."""
    if not isinstance(error, ServiceError) or error.retry_after_s > OUTAGE_LIMIT_S:
        return False
    return error.code in TRANSIENT_CODES or error.status in TRANSIENT_STATUSES


def is_unanswered(error: ServiceError) -> bool:
    """Tell whether no answer came, so that nobody knows what became of the call."""
    return error.code is None and error.status is None


class Outage:
    """How long a service has had no good answer, for the loops that ask it again and again.

    Args:
        limit_s: seconds after which it is of no use to ask again.
    """

    def __init__(self, limit_s: float = OUTAGE_LIMIT_S) -> None:
        self._limit_s = limit_s
        self._began: float | None = None
        self._said: float | None = None

    def endure(self, error: ServiceError) -> None:
        """Return if it is worth asking again.

        Raises:
            ServiceError: the error given: it does not pass, or lasts too long.
        """
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        may_pass = is_unanswered(error) or is_retryable(error)
        if not may_pass or now - self._began > self._limit_s:
            raise error

    def wait(self, error: ServiceError, pause_s: float) -> None:
        """Endure an error, and return when it is time to ask again; long waits are reported.

        Args:
            error: what came instead of a good answer.
            pause_s: seconds until then, if the service does not ask to wait longer.

        Raises:
            ServiceError: the error given: it does not pass, or lasts too long.
        """
        self.endure(error)
        pause_s = max(pause_s, error.retry_after_s)
        now = time.monotonic()
        if self._said is None or now + pause_s - self._said > VISIBLE_AFTER_S:
            self._said = now
            warn(f"{error}; trying again in {pause_s:.3g} s")
        pause(pause_s)

    def end(self) -> None:
        """Note a good answer: a later error begins another outage."""
        self._began = self._said = None


class Backoff:
    """Pauses between tries, each longer than the one before.

    Args:
        first_s: seconds of the first pause.
        longest_s: seconds of the longest.
        growth: how many times as long the next one is.
    """

    def __init__(self, first_s: float, longest_s: float, growth: float = 2.0) -> None:
        self._first_s, self._longest_s, self._growth = first_s, longest_s, growth
        self._next_s = first_s

    def next_s(self) -> float:
        """Return the seconds of the next pause."""
        pause_s = self._next_s
        self._next_s = min(self._growth * pause_s, self._longest_s)
        return pause_s

    def wait(self) -> None:
        """Pause."""
        pause(self.next_s())

    def reset(self) -> None:
        """Begin again with the first pause."""
        self._next_s = self._first_s


class Patience:
    """Says what is waited for, if that takes long: at first after ten seconds."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._say_after_s = VISIBLE_AFTER_S

    def say(self, text: str) -> None:
        """Say it if it is time."""
        waited_s = time.monotonic() - self._began
        if waited_s >= self._say_after_s:
            self._say_after_s = waited_s + AGAIN_AFTER_S
            warn(f"{text} (for {waited_s:.0f} s)")


def outlive(call: Callable[[], R], pause: Backoff, check: Callable[[], object]) -> R:
    """Make a call until it has an answer, or it is plain that it gets none.

    Args:
        call: safe to repeat.
        pause: between two tries.
        check: called before each try; raises if there must not be another.

    Raises:
        ServiceError: the service refused, or was out of reach for too long.
    """
    outage = Outage()
    while True:
        check()
        try:
            return call()
        except ServiceError as error:
            outage.wait(error, pause.next_s())

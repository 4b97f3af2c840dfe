"""What passes by itself: which errors, for how long they are waited out, and at what pace."""

import time

from prefect_azure_batch.errors import ServiceError
from prefect_azure_batch.service.signals import pause

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
    if not isinstance(error, ServiceError):
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

    def endure(self, error: ServiceError) -> None:
        """Return if it is worth asking again.

        Raises:
            ServiceError: the error given: it does not pass, or has lasted too long already.
        """
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        may_pass = is_unanswered(error) or is_retryable(error)
        if not may_pass or now - self._began > self._limit_s:
            raise error

    def end(self) -> None:
        """Note a good answer: a later error begins another outage."""
        self._began = None


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

"""A stopwatch: how long each phase of a run takes."""

import time


class Stopwatch:
    """One phase at a time, each may come again.

    Args:
        name: the first phase.
    """

    def __init__(self, name: str) -> None:
        self._elapsed_s: dict[str, float] = {}
        self._name = name
        self._since = time.monotonic()
        self._first = {name: self._since}

    def begin(self, name: str) -> None:
        """End the phase before and begin one."""
        self._stop()
        self._name = name
        self._first.setdefault(name, self._since)

    def elapsed_s(self) -> dict[str, float]:
        """Return the seconds of each phase until now, in the order in which they first began."""
        self._stop()
        return dict(self._elapsed_s)

    def since(self, name: str) -> float | None:
        """Return the seconds since a phase first began; None if it never did."""
        return time.monotonic() - self._first[name] if name in self._first else None

    def _stop(self) -> None:
        now = time.monotonic()
        before_s = self._elapsed_s.get(self._name, 0.0)
        self._elapsed_s[self._name] = before_s + now - self._since
        self._since = now

"""Samples of a pool's metrics, taken at even intervals, for autoscale formulas."""

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from itertools import islice

from local_azure.batch.state.records import Key

PERIOD_S = 30.0
"""Seconds of emulated time between two samples."""

# A day: no formula of Microsoft's looks back further than some hours.
_KEPT = 2880


class Samples:
    """The samples of one pool, the oldest of which are forgotten."""

    def __init__(self) -> None:
        self._samples: deque[tuple[datetime, Mapping[str, float]]] = deque(maxlen=_KEPT)

    def add(self, now: datetime, values: Mapping[str, float]) -> None:
        """Keep the values of the metrics at an instant not before the last one."""
        self._samples.append((now, values))

    def newest(self, metric: str, count: int) -> list[float]:
        """Return the last `count` samples, newest first; fewer where there are fewer."""
        return [values[metric] for _, values in islice(reversed(self._samples), count)]

    def between(self, metric: str, first: datetime, last: datetime) -> list[float]:
        """Return the samples of a span of time, newest first."""
        return [values[metric] for when, values in reversed(self._samples) if first <= when <= last]

    def percent(self, _metric: str, first: datetime, last: datetime) -> float:
        """Return how much of the samples that a span of time should have is there, 0 to 100."""
        wanted = max(1, int((last - first).total_seconds() // PERIOD_S))
        # An evaluation takes a sample beside the regular ones: it fills no gap but its own.
        found = {
            int((last - when).total_seconds() // PERIOD_S)
            for when, _ in self._samples
            if first <= when <= last
        }
        return min(100.0, 100.0 * len(found) / wanted)


class History:
    """The samples of all pools."""

    def __init__(self) -> None:
        self._pools: dict[Key, Samples] = {}

    def of(self, pool_key: Key) -> Samples:
        """Return the samples of a pool."""
        return self._pools.setdefault(pool_key, Samples())

    def forget(self, pool_key: Key) -> None:
        """Drop the samples of a pool that is gone."""
        self._pools.pop(pool_key, None)

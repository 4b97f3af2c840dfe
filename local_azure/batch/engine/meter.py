"""What the nodes of a pool would cost: the seconds for which each existed."""

from datetime import datetime

from local_azure.batch.controls.clock import Clock
from local_azure.batch.state.records import Node, Record
from local_azure.batch.state.store import Store


class Meter:
    """Adds up the lifetime of nodes, by pool, also of pools that are gone.

    In memory only: after a restart it knows the nodes that exist, not those that are gone.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._gone: dict[str, dict[str, float]] = {}
        store.subscribe(self._changed)

    def read(self) -> dict[str, dict[str, float]]:
        """Return the node-seconds of emulated time by pool id: `dedicated` and `low_priority`."""
        now = self._clock.now()
        books = {pool: dict(book) for pool, book in self._gone.items()}
        for pool in self._store.pools.of().values():
            book = books.setdefault(pool.id, _empty())
            for node in self._store.nodes.of(pool.id).values():
                _add(book, node, now)
        return books

    def _changed(self, old: Record | None, new: Record | None) -> None:
        if isinstance(old, Node) and new is None:
            _add(self._gone.setdefault(old.pool_id, _empty()), old, self._clock.now())


def _empty() -> dict[str, float]:
    return {"dedicated": 0.0, "low_priority": 0.0}


def _add(book: dict[str, float], node: Node, now: datetime) -> None:
    kind = "dedicated" if node.dedicated else "low_priority"
    book[kind] += (now - node.created).total_seconds()

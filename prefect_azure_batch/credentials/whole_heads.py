"""The head of an answer, status and headers, is whole, or it does not count.

Python takes the end of a connection for the end of the headers, so an answer that breaks off there
would only lack some of them, such as the marks of a container.
"""

import http.client
from typing import Any

_LAST_LINES = frozenset({b"\r\n", b"\n"})


class _Lines:
    """What a connection says, with its last line noted."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.last = b""

    def readline(self, limit: int = -1) -> bytes:
        """Read a line."""
        self.last = self._connection.readline(limit)
        return self.last

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class WholeHead(http.client.HTTPResponse):
    """An answer that is refused if its connection ends before its headers do."""

    def begin(self) -> None:
        """Read status and headers.

        Raises:
            IncompleteRead: they break off.
        """
        connection: Any = self.fp
        lines: Any = _Lines(connection)
        self.fp = lines
        try:
            super().begin()
        finally:
            self.fp = connection if self.fp is lines else self.fp
        if lines.last not in _LAST_LINES:
            raise http.client.IncompleteRead(lines.last)


def demand_whole_heads(session: Any) -> None:
    """Have a session of `requests` refuse answers that break off in their headers."""
    for adapter in session.adapters.values():
        _demand(adapter.poolmanager)
        adapter.proxy_manager_for = _demanding(adapter.proxy_manager_for)


def _demanding(proxy_manager_for: Any) -> Any:
    def demanding(*arguments: Any, **options: Any) -> Any:
        """Return a manager of connections through a proxy."""
        manager = proxy_manager_for(*arguments, **options)
        _demand(manager)
        return manager

    return demanding


def _demand(manager: Any) -> None:
    """Give a manager classes of its own, which urllib3 provides for."""
    if getattr(manager, "demands_whole_heads", False):
        return
    manager.demands_whole_heads = True
    manager.pool_classes_by_scheme = {
        scheme: type(pool.__name__, (pool,), {"ConnectionCls": _connection_of(pool.ConnectionCls)})
        for scheme, pool in manager.pool_classes_by_scheme.items()
    }


def _connection_of(connection: Any) -> Any:
    return type(connection.__name__, (connection,), {"response_class": WholeHead})

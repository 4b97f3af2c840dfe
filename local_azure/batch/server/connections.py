"""Connections of clients: their time limits, and how they break where a fault gives no answer."""

import asyncio
import socket
import struct

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_RESET = struct.pack("ii", 1, 0)
_TOO_LATE = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Connection(H11Protocol):
    """A client's connection; its requests have it in the state of their scope.

    It ends if the head of a request does not come in time, or what is left of a body after the
    answer. What comes before the answer is for `bodies.read` to limit, which can say so.
    """

    _timer: asyncio.TimerHandle | None = None
    _phase: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to listen to a client."""
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what a client has sent."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Continue after an answer."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a client."""
        super().connection_lost(exc)
        self._stop_timer()

    def _awaited(self) -> str | None:
        """What the client owes: the head of a request, the rest of one that is answered."""
        ours, theirs = map(repr, (self.conn.our_state, self.conn.their_state))
        if theirs == "IDLE":
            # Between two requests silence has a limit of its own.
            is_silent = self.timeout_keep_alive_task is not None
            return None if is_silent else "head"
        return "rest" if (ours, theirs) == ("DONE", "SEND_BODY") else None

    def _watch(self) -> None:
        awaited = self._awaited()
        if awaited == self._phase:
            return
        self._stop_timer()
        self._phase = awaited
        if awaited is not None:
            limit_s = self.app_state["request_timeout_s"]
            self._timer = self.loop.call_later(limit_s, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._phase = None

    def _give_up(self) -> None:
        if self.transport.is_closing():
            return
        has_begun = bool(self.conn.trailing_data[0])
        if self._phase == "head" and has_begun:
            self.transport.write(_TOO_LATE)
        self.transport.close()


class NoAnswer(Response):
    """Resets the connection of a request in place of an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Reset the connection and wait until the server knows."""
        transport: asyncio.Transport = scope["state"]["transport"]
        # Closed without lingering, the peer is sent a reset where it would be sent an end.
        client = transport.get_extra_info("socket")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass

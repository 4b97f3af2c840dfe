"""Connections that break: a fault that gives the client no answer."""

import asyncio
import socket
import struct

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_RESET = struct.pack("ii", 1, 0)


class Connection(H11Protocol):
    """A client's connection; its requests have it in the state of their scope."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to listen to a client."""
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)


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

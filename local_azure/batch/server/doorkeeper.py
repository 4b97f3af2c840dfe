"""What is refused before anybody looks what it asks for: pages in a browser, URLs with a NUL."""

from collections.abc import Callable
from contextlib import suppress

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from local_azure.batch.server import bodies
from local_azure.batch.server.hosts import Hosts
from local_azure.batch.wire.errors import BatchError


class Doorkeeper:
    """Guards all endpoints, the control endpoints among them.

    Args:
        app: what it guards.
        hosts: the names of the emulator.
        refuse: makes the answer of an error.
    """

    def __init__(
        self, app: ASGIApp, hosts: Hosts, refuse: Callable[[Request, BatchError], Response]
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            self._hosts.check(request.headers)
            _check_url(request)
        except BatchError as error:
            # A client that still sends reads no answer.
            with suppress(BatchError, ClientDisconnect):
                await bodies.read(request)
            await self._refuse(request, error)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _check_url(request: Request) -> None:
    if b"%00" in request.scope["raw_path"] or b"%00" in request.scope["query_string"]:
        raise BatchError(400, "InvalidUri", "The requested URI is not valid: it has a NUL.")

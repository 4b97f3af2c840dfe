"""The HTTP side: listens on loopback, checks who asks, calls the operation, writes its answer."""

import json
import logging
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from inspect import isawaitable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_azure.batch.calls.call import Call, Reply
from local_azure.batch.controls.delays import Delays
from local_azure.batch.controls.faults import Faults, Kind, Rule
from local_azure.batch.engine.scheduler import Scheduler
from local_azure.batch.server import auth, bodies
from local_azure.batch.server.connections import Connection, NoAnswer
from local_azure.batch.server.control_endpoints import PREFIX, ControlEndpoints
from local_azure.batch.server.doorkeeper import Doorkeeper
from local_azure.batch.server.file_answers import FileAnswer
from local_azure.batch.server.hosts import Hosts
from local_azure.batch.server.routes import OPERATIONS, Operation
from local_azure.batch.server.tls import certificate_in
from local_azure.batch.state.journal import JournalError
from local_azure.batch.state.service import BatchService
from local_azure.batch.wire.errors import BatchError, error_body, invalid_query, not_implemented
from local_azure.batch.wire.formats import CONTENT_TYPE

_log = logging.getLogger(__name__)

HOST = "127.0.0.1"
_API_VERSION = re.compile(r"\d{4}-\d\d-\d\d(\.\d+)*")
_GRACE_S = 2
_READS = frozenset({"GET", "HEAD"})
# What an error of a fault says where its rule gives no code.
_CODES = {429: "TooManyRequests", 500: "InternalError", 503: "ServerBusy"}

Endpoint = Callable[[Request], Awaitable[Response]]


class _Front:
    """Turns requests into calls and replies into responses."""

    def __init__(self, service: BatchService, faults: Faults) -> None:
        self._service = service
        self._faults = faults

    def endpoint(self, operation: Operation) -> Endpoint:
        """Make the endpoint of an operation."""

        async def answer(request: Request) -> Response:
            asked = (operation.name, request.method, request.url.path)
            latency_s = self._faults.latency(*asked)
            if latency_s > 0:
                await self._service.clock.sleep(latency_s)
            fault = self._faults.on_request(*asked)
            try:
                if fault is None:
                    return await self._answer(operation, request)
                return await self._fail(fault, operation, request)
            except BatchError as error:
                return self._error(request, error)
            except ClientDisconnect:
                return Response()  # nobody is there to read it

        return answer

    async def _answer(self, operation: Operation, request: Request) -> Response:
        self._authenticate(request)
        query = _query(request)
        if operation.handler is None:
            raise not_implemented(f"the operation {operation.name}")
        reply = operation.handler(await self._call(request, query))
        if isawaitable(reply):
            reply = await reply
        if request.method not in _READS:
            await self._service.commit()
        return _response(reply)

    async def _fail(self, fault: Rule, operation: Operation, request: Request) -> Response:
        if fault.kind is Kind.ERROR:
            await bodies.read(request)
            return self._error(request, _injected(fault), fault.retry_after_s)
        if fault.kind is Kind.LOST:
            with suppress(BatchError):
                await self._answer(operation, request)
        return NoAnswer()

    def refuse(self, request: Request, error: BatchError) -> Response:
        """Answer a request that no endpoint has seen."""
        if request.url.path.startswith(f"{PREFIX}/"):
            return JSONResponse({"error": error.message}, error.status)
        return self._error(request, error)

    async def no_operation(self, request: Request, error: Exception) -> Response:
        """Answer a request that is for no operation."""
        if isinstance(error, HTTPException) and error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            text = f"{request.method} is not supported by {request.url.path}."
            return self._error(request, BatchError(405, "UnsupportedHttpVerb", text))
        text = f"There is no resource at {request.url.path}."
        return self._error(request, BatchError(404, "ResourceNotFound", text))

    async def broken(self, request: Request, error: Exception) -> Response:
        """Answer when the emulator itself failed."""
        # Of our own errors the text is for people; of others it could hold anything.
        reason = str(error) if isinstance(error, JournalError) else type(error).__name__
        text = f"The emulator failed: {reason}; its log has the trace."
        return self._error(request, BatchError(500, "InternalError", text))

    def _authenticate(self, request: Request) -> None:
        account = self._service.account
        signed = auth.SignedRequest(
            method=request.method,
            raw_path=request.scope["raw_path"].decode("ascii"),
            query=request.scope["query_string"].decode("ascii"),
            headers=request.headers,
        )
        auth.verify(account.name, account.key, signed)

    async def _call(self, request: Request, query: dict[str, str]) -> Call:
        raw = await bodies.read(request)
        return Call(
            service=self._service,
            base_url=_base_url(request),
            path=request.scope["raw_path"].decode("ascii"),
            ids=request.path_params,
            query=query,
            headers=request.headers,
            body=bodies.parse(raw),
            body_size=len(raw),
        )

    def _error(
        self, request: Request, error: BatchError, retry_after_s: int | None = None
    ) -> Response:
        request_id = str(uuid4())
        _log.info("%s %s: %s", request.method, request.url.path, error)
        headers = {"request-id": request_id, "dataserviceversion": "3.0"}
        if retry_after_s is not None:
            headers["Retry-After"] = str(retry_after_s)
        if error.status == HTTPStatus.REQUEST_TIMEOUT:
            headers["Connection"] = "close"
        if error.status == HTTPStatus.NOT_MODIFIED:
            return Response(status_code=error.status, headers=headers)
        now = self._service.clock.now()
        body = error_body(error, _base_url(request), request_id, now)
        return Response(json.dumps(body), error.status, headers=headers, media_type=CONTENT_TYPE)


def _base_url(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers.get('host', HOST)}"


def _query(request: Request) -> dict[str, str]:
    """Return the query parameters by lower-case name; api-version must be there."""
    query_string = request.scope["query_string"].decode("ascii")
    query = {name.lower(): value for name, value in reversed(parse_qsl(query_string))}
    version = query.get("api-version")
    if version is None:
        raise BatchError(
            400,
            "MissingRequiredQueryParameter",
            "A query parameter that's mandatory for this request is not specified: api-version.",
            [("QueryParameterName", "api-version")],
        )
    if not _API_VERSION.fullmatch(version):
        raise invalid_query("api-version", version, "it is of the form YYYY-MM-DD or -DD.N.N")
    return query


def _injected(fault: Rule) -> BatchError:
    code = fault.code or _CODES.get(fault.status, "InternalError")
    return BatchError(fault.status, code, "This error was asked for by a rule for faults.")


def _response(reply: Reply) -> Response:
    headers = {"request-id": str(uuid4()), "dataserviceversion": "3.0", **reply.headers}
    if reply.file is not None:
        return FileAnswer(reply, headers)
    text = reply.text if reply.body is None else json.dumps(reply.body)
    if text is None:
        return Response(status_code=reply.status, headers=headers)
    return Response(text, reply.status, headers=headers, media_type=CONTENT_TYPE)


def _route(operation: Operation, front: _Front) -> Route:
    route = Route(operation.path, front.endpoint(operation))
    # Not as an argument: Starlette would let every GET answer HEAD too.
    route.methods = {operation.method}
    return route


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """How the emulator is served.

    Attributes:
        port: on loopback; 0 picks a free one.
        control: have the control endpoints.
        tls_dir: listen with TLS; the certificate is there, or made there.
        hosts: names by which clients may call it, beside those of loopback.
        request_timeout_s: how long a client may take for the head of a request, and how long it
            may pause in its body.
    """

    port: int = 0
    control: bool = False
    tls_dir: Path | None = None
    hosts: tuple[str, ...] = ()
    request_timeout_s: float = 30.0


def make_app(
    service: BatchService, url: str, on_ready: Callable[[], None], options: ServerOptions
) -> Starlette:
    """Build the application.

    Args:
        service: what it serves.
        url: the account's URL, as tasks see it.
        on_ready: called when the scheduler runs and requests may come.
        options: how it is served.
    """
    delays, faults = Delays(service.clock), Faults()
    front = _Front(service, faults)
    controls = ControlEndpoints(service, delays, faults).routes() if options.control else []

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        """Run the engine while requests come."""
        scheduler = Scheduler(service, url, delays, faults)
        scheduler.resume()
        on_ready()
        yield {"request_timeout_s": options.request_timeout_s}
        await scheduler.close()
        if service.journal is not None:
            await service.journal.close()

    return Starlette(
        routes=[*controls, *(_route(operation, front) for operation in OPERATIONS)],
        middleware=[Middleware(Doorkeeper, hosts=Hosts(options.hosts), refuse=front.refuse)],
        exception_handlers={HTTPException: front.no_operation, Exception: front.broken},
        lifespan=lifespan,
    )


def serve(service: BatchService, options: ServerOptions) -> None:
    """Serve until SIGINT or SIGTERM; print `ready <url>` when requests may come.

    Raises:
        OSError: the port is taken.
    """
    listener = socket.create_server((HOST, options.port), backlog=2048)
    # Its connections inherit this; without it each answer with a body waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tls = None if options.tls_dir is None else certificate_in(options.tls_dir, options.hosts)
    url = f"{'http' if tls is None else 'https'}://{HOST}:{listener.getsockname()[1]}"
    ready = f"ready {url}" if tls is None else f"ready {url}\nca {tls.authority}"
    app = make_app(service, url, lambda: print(ready, flush=True), options)  # noqa: T201
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        proxy_headers=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
        ssl_certfile=tls and tls.chain,
        ssl_keyfile=tls and tls.key,
    )
    uvicorn.Server(config).run(sockets=[listener])

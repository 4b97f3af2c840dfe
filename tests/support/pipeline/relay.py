"""A relay in front of a service: a call can be held in flight, refused, or the service be gone.

What passes through is not changed. It works on bytes, so it serves websockets too (Linux).
"""

import json
import re
import socket
from contextlib import closing, suppress
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

CHUNK_BYTES = 65536
ANSWER_S = 1.0
HEAD = re.compile(rb"(GET|HEAD|PUT|POST|PATCH|DELETE) \S+ HTTP/1.1\r\n")


class Relay:
    """Listens on loopback for clients of a service.

    Args:
        url: of the service.

    Attributes:
        is_reached: set when a call is held.
    """

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            address = probe.getsockname()
        # Bound to a port of its own choice, it would lose that with `cut`.
        self._listener = socket.create_server(address)
        self._there = Event()
        self._is_over = False
        self._ends: set[socket.socket] = set()
        self._lock = Lock()
        self._held: re.Pattern[bytes] | None = None
        self._answer: bytes | None = None
        self._let_go = Event()
        self._refusals: list[bytes] = []
        self.is_reached = Event()

    @property
    def url(self) -> str:
        """What clients are given instead of the service's URL."""
        netloc = f"127.0.0.1:{self._listener.getsockname()[1]}"
        return self._target._replace(netloc=netloc).geturl()

    def hold(self, call: str) -> None:
        """Hold the next call whose request line matches a regular expression."""
        self.is_reached.clear()
        self._let_go.clear()
        self._held = re.compile(call.encode())

    def let_go(self, answer: bytes | None = None) -> None:
        """Let the held call pass, if there is one; or give it an answer in the service's stead."""
        self._answer = answer
        self._let_go.set()

    def refuse(self, num_calls: int, answer: bytes) -> None:
        """Give the next calls an answer in the service's stead; an empty one: none at all."""
        with self._lock:
            self._refusals += [answer] * num_calls

    @property
    def num_refused(self) -> int:
        """How many calls are still to be refused."""
        return len(self._refusals)

    def cut(self) -> None:
        """Let the service be gone: connections are reset, and new ones refused."""
        self._there.clear()
        # Takes no connections from now on, and keeps its port.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._close_all()

    def restore(self) -> None:
        """Let the service be there again, and every call pass; safe to repeat."""
        self._held = None
        self._refusals.clear()
        self.let_go()
        self._listener.listen()
        self._there.set()

    def __enter__(self) -> Self:
        """Begin to relay."""
        self._thread = Thread(target=self._serve, name="relay")
        self._thread.start()
        self.restore()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End all connections."""
        self.restore()
        self._is_over = True
        self.cut()
        self._there.set()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._is_over:
            self._there.wait()
            # Fails when the service is cut off.
            with suppress(OSError):
                client, _ = self._listener.accept()
                Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with closing(client):
            _Line(self, client).serve()

    def dial(self, client: socket.socket) -> socket.socket:
        """Connect with the service for a client."""
        service = socket.create_connection((self._target.hostname, self._target.port))
        with self._lock:
            self._ends |= {client, service}
        return service

    def hang_up(self, *ends: socket.socket) -> None:
        """Forget about connections that have ended."""
        with self._lock:
            self._ends -= set(ends)

    def is_held(self, head: bytes) -> bool:
        """Tell whether a call is the one that is to be held; it is then."""
        with self._lock:
            is_held = self._held is not None and self._held.match(head) is not None
            if is_held:
                self._held = None
        return is_held

    def wait(self) -> bytes | None:
        """Wait until the held call is let go; return what to answer it in the service's stead."""
        self.is_reached.set()
        self._let_go.wait()
        return self._answer

    def next_refusal(self) -> bytes | None:
        """Return what to answer a call in the service's stead, if it is to be refused."""
        with self._lock:
            return self._refusals.pop(0) if self._refusals else None

    def _close_all(self) -> None:
        with self._lock:
            for end in self._ends:
                _shut(end)


class _Line:
    """A client's connection, and that with the service for it."""

    def __init__(self, relay: Relay, client: socket.socket) -> None:
        self._relay, self._client = relay, client
        self._is_held = False

    def serve(self) -> None:
        """Relay until one of them ends."""
        with suppress(OSError):
            self._dial()
            try:
                self._pass_on()
                # What was passed on takes effect, even if nobody waits for the answer.
                self._back.join(ANSWER_S)
            finally:
                _shut(self._service)
                self._back.join()
                self._relay.hang_up(self._client)

    def _dial(self) -> None:
        self._service = self._relay.dial(self._client)
        self._back = Thread(target=self._pass_back, args=(self._service,), daemon=True)
        self._back.start()

    def _pass_on(self) -> None:
        """Pass on what a client says, until it says no more."""
        while chunk := self._client.recv(CHUNK_BYTES):
            head = HEAD.match(chunk)
            answer = self._answer_to(head[0]) if head else None
            if answer is not None:
                _give(self._client, answer)
                return
            self._service.sendall(chunk)

    def _answer_to(self, head: bytes) -> bytes | None:
        """Hold a call if it is the one; return what to answer in the service's stead, if it is."""
        if not self._relay.is_held(head):
            return self._relay.next_refusal()
        # Meanwhile the service hangs up, as it does where nothing is said for some seconds.
        self._is_held, silent = True, self._service
        answer = self._relay.wait()
        self._dial()
        self._is_held = False
        _shut(silent)
        return answer

    def _pass_back(self, service: socket.socket) -> None:
        """Pass back what the service answers, until it says no more."""
        with closing(service), suppress(OSError):
            while chunk := service.recv(CHUNK_BYTES):
                self._client.sendall(chunk)
        self._relay.hang_up(service)
        if service is self._service and not self._is_held:
            _shut(self._client)


def reply(status: int, body: object, code: str = "") -> bytes:
    """Return a whole answer of one of the services.

    Args:
        status: of HTTP.
        body: becomes JSON.
        code: of the error, which storage gives in a header; empty: none.
    """
    content = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status} Relayed\r\nContent-Type: application/json;odata=minimalmetadata\r\n"
        + (f"x-ms-error-code: {code}\r\n" if code else "")
        + f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + content


def refusal(status: int, code: str) -> bytes:
    """Return an answer by which either service refuses a call.

    Args:
        status: of HTTP.
        code: the service's.
    """
    return reply(status, {"code": code, "message": {"value": "refused by a relay"}}, code)


def _give(client: socket.socket, answer: bytes) -> None:
    """Answer a call, and wait until the client has closed its connection."""
    client.sendall(answer)
    client.shutdown(socket.SHUT_WR)
    while client.recv(CHUNK_BYTES):
        continue


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)

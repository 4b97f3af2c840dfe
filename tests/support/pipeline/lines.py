"""A line to a service that can be cut, and that can lose answers, in front of the real one."""

import contextlib
import socket
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from urllib.parse import urlsplit


class Line(ThreadingTCPServer):
    """Passes bytes on to a service as long as it is not cut.

    Args:
        url: the service's.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.target = urlsplit(url)
        self.is_cut = False
        self.loses_answer = False
        self.open: set[socket.socket] = set()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def cut(self) -> None:
        """End every connection, and take no more."""
        self.is_cut = True
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def restore(self) -> None:
        """Pass everything on again."""
        self.is_cut = False

    def lose_an_answer(self) -> None:
        """Let the next answer end its connection instead of arriving."""
        self.loses_answer = True


class _Connection(BaseRequestHandler):
    """One connection of a client."""

    server: Line

    def handle(self) -> None:
        """Pass on what comes from either side until one of them ends."""
        if self.server.is_cut:
            return
        target = (str(self.server.target.hostname), int(self.server.target.port or 80))
        with socket.create_connection(target) as service:
            ends = {service, self.request}
            self.server.open |= ends
            back = Thread(target=self._answers, args=(service,), daemon=True)
            back.start()
            _pump(self.request, service)
            back.join()
            self.server.open -= ends

    def _answers(self, service: socket.socket) -> None:
        while data := _received(service):
            if self.server.loses_answer:
                self.server.loses_answer = False
                break
            self.request.sendall(data)
        with contextlib.suppress(OSError):
            self.request.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, target: socket.socket) -> None:
    while data := _received(source):
        target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


def _received(source: socket.socket) -> bytes:
    try:
        return source.recv(65536)
    except OSError:
        return b""

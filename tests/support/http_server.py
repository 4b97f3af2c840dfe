"""A server of HTTP on loopback, for tests of what a client makes of its answers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_POLL_S = 0.01


class QuietHandler(BaseHTTPRequestHandler):
    """Answers requests and logs nothing, to keep the tests' output clean."""

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""

    def answer(self, content: bytes, length: int | None = None) -> None:
        """Answer 200 with a content, and with another length than it has if one is given."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Run a server in a thread and give its URL; at the end of the block it has stopped."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(_POLL_S,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()

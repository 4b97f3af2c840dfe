"""Blob Storage in tests: real HTTP servers that give a blob, or take blobs, and can refuse."""

import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

READ_SAS = "sv=2021-12-02&sp=r&sig=s3cret%2Fsignature%3D"
WRITE_SAS = "sv=2021-12-02&sp=cw&sig=s3cret%2Fsignature%3D"
# Answers that are not HTTP: half of the body, and none at all.
CUT_OFF = 0
DROP = 0


@dataclass
class ReadableBlob:
    """One blob as a storage service gives it: its content, its ETag, and answers to give first."""

    port: int
    content: bytes = b""
    etag: str = '"1"'
    refusals: list[int] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The blob's SAS URL."""
        return f"http://127.0.0.1:{self.port}/account/input/text.txt?{READ_SAS}"


def get_handler_for(server: ReadableBlob) -> type[BaseHTTPRequestHandler]:
    """Return a handler that gives ranges of the blob."""

    class Handler(BaseHTTPRequestHandler):
        """Get Blob, recorded."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer one range, or the next refusal."""
            asked = self.headers["Range"]
            server.requests.append(asked)
            refusal = server.refusals.pop(0) if server.refusals else None
            match = re.fullmatch(r"bytes=(\d+)-(\d+)", asked)
            assert match is not None
            first, last = int(match[1]), int(match[2])
            body = server.content[first : last + 1]
            if refusal:
                self.answer(refusal, b"")
            elif self.headers.get("If-Match", server.etag) != server.etag:
                self.answer(412, b"")
            elif not body:
                self.answer(416, b"")
            else:
                self.answer(206, body, first, cut=refusal == CUT_OFF)

        def answer(self, status: int, body: bytes, first: int = 0, *, cut: bool = False) -> None:
            """Send an answer, perhaps only the half of it."""
            self.send_response(status)
            last = first + len(body) - 1
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(server.content)}")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", server.etag)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.close_connection = cut

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Keep the test's output clean."""

    return Handler


@dataclass
class Request:
    """One request as the server saw it."""

    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WritableContainer:
    """A container that takes blobs: answers to give before 201, and what was asked."""

    port: int
    refusals: list[int] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def url(self, container: str = "output") -> str:
        """Return a container SAS URL in the path style of Azurite."""
        return f"http://127.0.0.1:{self.port}/account/{container}?{WRITE_SAS}"


def put_handler_for(service: WritableContainer) -> type[BaseHTTPRequestHandler]:
    """Return a handler that records into the service and answers as it says."""

    class Handler(BaseHTTPRequestHandler):
        """Put Blob, recorded."""

        def do_PUT(self) -> None:
            """Record the request and give the next answer; DROP closes the connection."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            service.requests.append(Request(self.path, headers, body))
            status = service.refusals.pop(0) if service.refusals else 201
            if status == DROP:
                return
            self.send_response(status)
            self.send_header("x-ms-error-code", "SomeCode")
            self.send_header("Location", f"http://127.0.0.1:{service.port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Keep the test's output clean."""

    return Handler

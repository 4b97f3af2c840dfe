"""A proxy in front of a service that spoils answers: cuts them short, or leaves things out."""

import http.client
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.parse import urlsplit

ALWAYS = 10_000
RETRY_AFTER_S = 1
BUSY = (
    f"HTTP/1.1 429 Too Many Requests\r\nRetry-After: {RETRY_AFTER_S}\r\nContent-Length: 0\r\n\r\n"
).encode()
_POLL_S = 0.01
_TIMEOUT_S = 30


class Fault(Enum):
    """What is wrong with an answer."""

    CUT = "cut body"
    CUT_SILENTLY = "cut body, no length"
    NO_DATE = "no Date header"
    BARE_503 = "503 without headers"
    BUSY_429 = "429 with Retry-After"


@dataclass(frozen=True)
class Kind:
    """A kind of call: who makes what, of which service.

    Attributes:
        name: for people.
        service: `batch` or `blobs`.
        method: of HTTP.
        target: a regular expression for the beginning of path and query.
        is_first: whether it is made before a run has begun.
    """

    name: str
    service: str
    method: str
    target: str
    is_first: bool = False


@dataclass
class Rule:
    """Which answers are spoiled.

    Attributes:
        fault: how.
        kinds: to which calls.
        num_each: how many of each kind, the first ones.
        spoiled: how many of each kind were.
        times: when calls of these kinds came, seconds of the monotonic clock.
    """

    fault: Fault
    kinds: tuple[Kind, ...]
    num_each: int
    spoiled: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)


Spoil = Callable[[Fault, tuple[Kind, ...], int], Rule]
"""Has answers spoiled from now on."""


class BadAnswers(ThreadingHTTPServer):
    """Passes calls on to a service, and its answers back, but for those that a rule spoils.

    Args:
        service: `batch` or `blobs`.
        url: of the service.
    """

    daemon_threads = True

    def __init__(self, service: str, url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service = service
        self.target = urlsplit(url)
        self.rule: Rule | None = None
        self._lock = Lock()

    @property
    def url(self) -> str:
        """What clients are given instead of the service's URL."""
        netloc = f"127.0.0.1:{self.server_address[1]}"
        return self.target._replace(netloc=netloc).geturl()

    def fault_of(self, method: str, target: str) -> Fault | None:
        """Return how the answer to a call is to be spoiled, and count it."""
        rule = self.rule
        if rule is None:
            return None
        with self._lock:
            for kind in rule.kinds:
                is_meant = (kind.service, kind.method) == (self.service, method)
                if not (is_meant and re.match(kind.target, target)):
                    continue
                rule.times.append(time.monotonic())
                if rule.spoiled[kind.name] < rule.num_each:
                    rule.spoiled[kind.name] += 1
                    return rule.fault
        return None

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server: BadAnswers

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.fault_of(self.command, self.path)
        if fault is Fault.BARE_503:
            self._end(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
        elif fault is Fault.BUSY_429:
            self._end(BUSY)
        else:
            self._answer(body, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _pass  # noqa: N815 - http.server's names

    def _answer(self, body: bytes, fault: Fault | None) -> None:
        """Ask the service, and pass its answer back."""
        status, headers, content = self._ask(body)
        if fault is Fault.NO_DATE:
            headers = [(name, value) for name, value in headers if name.lower() != "date"]
        lines = [f"HTTP/1.1 {status} Passed", *(f"{name}: {value}" for name, value in headers)]
        if fault is Fault.CUT_SILENTLY or self.command == "HEAD":
            length = b""
        else:
            length = f"\r\nContent-Length: {len(content)}".encode()
        head = "\r\n".join(lines).encode("latin-1") + length + b"\r\n\r\n"
        if fault in {Fault.CUT, Fault.CUT_SILENTLY}:
            # Without a body it breaks off in its headers.
            self._end(head + content[: len(content) // 2] if content else head[: len(head) // 2])
        else:
            self.wfile.write(head + content)

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        target = self.server.target
        service = http.client.HTTPConnection(
            str(target.hostname), target.port or 80, timeout=_TIMEOUT_S
        )
        try:
            service.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() != "connection":
                    service.putheader(name, value)
            service.endheaders(body)
            answer = service.getresponse()
            is_head = self.command == "HEAD"
            hidden = {"connection", "keep-alive", "transfer-encoding"}
            hidden |= set() if is_head else {"content-length"}
            headers = [item for item in answer.getheaders() if item[0].lower() not in hidden]
            return answer.status, headers, answer.read()
        finally:
            service.close()

    def _end(self, answer: bytes) -> None:
        self.wfile.write(answer)
        self.close_connection = True


@contextmanager
def answering_badly(environment: Mapping[str, str]) -> Iterator[tuple[Spoil, dict[str, str]]]:
    """Put a proxy in front of each of the two services.

    Args:
        environment: that names the services themselves.

    Yields:
        What has their answers spoiled, and the environment with the proxies in it.
    """
    connection = environment["AZURE_STORAGE_CONNECTION_STRING"]
    (endpoint,) = re.findall(r"BlobEndpoint=([^;]+)", connection)
    batch = BadAnswers("batch", environment["AZURE_BATCH_ENDPOINT"])
    blobs = BadAnswers("blobs", endpoint)

    def spoil(fault: Fault, kinds: tuple[Kind, ...], num_each: int) -> Rule:
        """Begin."""
        batch.rule = blobs.rule = Rule(fault, kinds, num_each)
        return batch.rule

    with _serving(batch), _serving(blobs):
        yield (
            spoil,
            {
                **environment,
                "AZURE_BATCH_ENDPOINT": batch.url,
                "AZURE_STORAGE_CONNECTION_STRING": connection.replace(endpoint, blobs.url),
            },
        )


@contextmanager
def _serving(proxy: BadAnswers) -> Iterator[None]:
    thread = Thread(target=proxy.serve_forever, args=(_POLL_S,))
    thread.start()
    try:
        yield
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()


_CONTAINER = r"/[^/?]+/[^/?]+\?.*restype=container"
KINDS = (
    Kind("list images", "batch", "GET", r"/supportedimages\?", is_first=True),
    Kind("list containers", "blobs", "GET", r"/[^/?]+/?\?.*comp=list", is_first=True),
    Kind("create a container", "blobs", "PUT", _CONTAINER),
    Kind("look at a container", "blobs", "GET", rf"(?!.*comp=list){_CONTAINER}"),
    Kind("list blobs", "blobs", "GET", rf"(?=.*comp=list){_CONTAINER}"),
    Kind("read the heartbeat", "blobs", "GET", r"/.*-application/heartbeat"),
    Kind("write the heartbeat", "blobs", "PUT", r"/.*-application/heartbeat"),
    Kind("upload a file", "blobs", "PUT", r"/.*-(input|application)/(?!heartbeat)"),
    Kind("download an output", "blobs", "GET", r"/.*-output/.*_OUTPUT"),
    Kind("delete a container", "blobs", "DELETE", _CONTAINER),
    Kind("create the pool", "batch", "POST", r"/pools\?"),
    Kind("create the job", "batch", "POST", r"/jobs\?"),
    Kind("add batch tasks", "batch", "POST", r"/jobs/[^/?]+/addtaskcollection"),
    Kind("update the job", "batch", "PATCH", r"/jobs/[^/?]+\?"),
    Kind("get the job", "batch", "GET", r"/jobs/[^/?]+\?"),
    Kind("count batch tasks", "batch", "GET", r"/jobs/[^/?]+/taskcounts"),
    Kind("list batch tasks", "batch", "GET", r"/jobs/[^/?]+/tasks\?"),
    Kind("get the pool", "batch", "GET", r"/pools/[^/?]+\?"),
    Kind("count nodes", "batch", "GET", r"/nodecounts\?"),
    Kind("list nodes", "batch", "GET", r"/pools/[^/?]+/nodes\?"),
    Kind("list jobs", "batch", "GET", r"/jobs\?"),
    Kind("list pools", "batch", "GET", r"/pools\?"),
    Kind("delete the job", "batch", "DELETE", r"/jobs/[^/?]+\?"),
    Kind("delete the pool", "batch", "DELETE", r"/pools/[^/?]+\?"),
)
"""Every kind of call of a run that succeeds, in their order."""


def kinds_of(*names: str) -> tuple[Kind, ...]:
    """Return kinds of calls by their names."""
    return tuple(kind for kind in KINDS if kind.name in names)

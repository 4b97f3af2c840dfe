"""Blob Storage: its SAS URLs, and requests that are made again after failures that may pass."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, NamedTuple

from word_counter.refusals import ExitCode, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPConnection
    from typing import BinaryIO

SAS_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?)"
    r"(?P<path>/[^?#]*[^?#/])/?\?(?P<sas>[^#]+)",
    re.ASCII | re.IGNORECASE,
)
STORAGE_VERSION = "2021-12-02"
RETRIES = 5
FIRST_DELAY_S = 0.5
TIMEOUT_S = 60
SERVER_ERROR = 500
TIMED_OUT_OR_THROTTLED = (408, 429)


class Location(NamedTuple):
    """A container or blob and the SAS for it: never to be printed."""

    scheme: str
    host: str
    path: str
    sas: str

    def connect(self) -> HTTPConnection:
        """Return a connection to the service, not yet opened: through a proxy if there is one."""
        from http.client import HTTPConnection, HTTPSConnection

        if self.scheme.lower() != "https":
            return HTTPConnection(self.host, timeout=TIMEOUT_S)
        proxy = proxy_for(self.host)
        if proxy is None:
            return HTTPSConnection(self.host, timeout=TIMEOUT_S)
        connection = HTTPSConnection(proxy.host, timeout=TIMEOUT_S)
        connection.set_tunnel(self.host, headers=proxy.headers)
        return connection


class Proxy(NamedTuple):
    """A proxy as host and port, and the headers by which it knows us."""

    host: str
    headers: dict[str, str]


def proxy_for(host: str) -> Proxy | None:
    """Return the environment's HTTP proxy for https to a host; None for this machine, too."""
    if not any(name.lower() in {"https_proxy", "all_proxy"} for name in os.environ):
        # Nearly always; what follows takes longer to import than the rest of the program.
        return None
    from base64 import b64encode
    from urllib.parse import unquote, urlsplit
    from urllib.request import getproxies, proxy_bypass

    found = getproxies()
    url = found.get("https") or found.get("all") or ""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    is_usable = parts.scheme == "http" and parts.hostname
    if not is_usable or is_loopback(urlsplit(f"//{host}").hostname or ""):
        return None
    if proxy_bypass(host):
        return None
    address, headers = parts.netloc.rpartition("@")[2], {}
    if parts.username:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {b64encode(user.encode()).decode()}"
    return Proxy(address if parts.port else f"{address}:80", headers)


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address means this machine."""
    return (
        host in {"localhost", "::1"}
        or host.endswith(".localhost")
        or bool(re.fullmatch(r"127(\.\d{1,3}){3}", host))
    )


def location_in(variable: str, exit_code: ExitCode, what: str) -> Location:
    """Return the location that an environment variable holds.

    Raises:
        Refusal: the value is not a SAS URL; the reason does not repeat it.
    """
    url = os.environ.get(variable, "")
    match = SAS_URL.fullmatch(url)
    if match is None or not re.fullmatch("[!-~]+", url):
        raise Refusal(exit_code, f"{variable} holds no {what} SAS URL")
    return Location(**match.groupdict())


class Answer(NamedTuple):
    """How one request ended."""

    done: bool
    worth_a_retry: bool
    reason: str
    status: int = 0
    body: bytes = b""
    headers: dict[str, str] = {}  # noqa: RUF012 - nobody changes it


def request(
    connection: HTTPConnection,
    message: tuple[str, str, BinaryIO | None, dict[str, str]],
    wanted: int,
) -> Answer:
    """Make one request; redirects are not followed, for the SAS would go with them.

    Args:
        connection: to the service.
        message: method, target, body and headers.
        wanted: the HTTP status of a success.
    """
    from http.client import HTTPException

    method, target, body, headers = message
    try:
        connection.request(method, target, body, {"x-ms-version": STORAGE_VERSION} | headers)
        response = connection.getresponse()
        content = response.read() if response.status == wanted else b""
    except (OSError, HTTPException) as error:
        detail = getattr(error, "strerror", None) or "connection lost"
        return Answer(done=False, worth_a_retry=True, reason=f"{type(error).__name__}: {detail}")
    given = {name.lower(): value for name, value in response.getheaders()}
    error_code = given.get("x-ms-error-code", "")
    shown = error_code if re.fullmatch("[A-Za-z]{1,64}", error_code) else ""
    return Answer(
        done=response.status == wanted,
        worth_a_retry=response.status in TIMED_OUT_OR_THROTTLED or response.status >= SERVER_ERROR,
        reason=f"HTTP {response.status} {shown}".rstrip(),
        status=response.status,
        body=content,
        headers=given,
    )


def with_retries(
    attempt: Callable[[], Answer], pause: Callable[[float], object] = time.sleep
) -> Answer:
    """Make a request, again after a failure that may pass; waits 16 s at most in all."""
    answer = attempt()
    for retry in range(RETRIES):
        if answer.done or not answer.worth_a_retry:
            break
        from random import SystemRandom

        # Jitter keeps the many batch tasks of a job from coming back all at once.
        pause(FIRST_DELAY_S * 2**retry * SystemRandom().uniform(0.5, 1))
        answer = attempt()
    return answer

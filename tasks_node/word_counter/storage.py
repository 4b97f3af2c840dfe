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
        """Return a connection to the service, not yet opened."""
        from http.client import HTTPConnection, HTTPSConnection

        kind = HTTPSConnection if self.scheme.lower() == "https" else HTTPConnection
        return kind(self.host, timeout=TIMEOUT_S)


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

"""How both clients treat the network: they repeat lost connections, and leave the rest to others.

A call that the service answered with 429 or 5xx is repeated by the Prefect task that made it; so
`retry_status` is 0 here, and each kind of failure has one owner. An answer that breaks off in its
middle does not count as an answer, but as a lost connection, whatever the libraries below make of
it.
"""

import http.client
import json
import re
import ssl
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import RetryPolicy, SansIOHTTPPolicy
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import ExponentialRetry

from prefect_azure_batch.credentials.slow_calls import slow_calls
from prefect_azure_batch.credentials.whole_heads import demand_whole_heads

OnAnswer = Callable[[Any], object]
"""Called with each answer of a service, before anybody has read its body."""

# Two more tries of ten seconds each: an unreachable endpoint is an error within about 35 s. While
# a body is sent, requests takes the connection timeout as the limit for all of it.
TIMEOUTS: dict[str, Any] = {"connection_timeout": 10, "read_timeout": 60}
# What the SDK for storage reads at once; a client that is given its transport does not set it.
BLOCK_BYTES = 256 * 1024
RETRIES: dict[str, Any] = {"retry_connect": 2, "retry_read": 2, "retry_status": 0}
# Libraries that the SDKs stand on; this project does not import them.
_LIBRARIES = frozenset({"requests", "urllib3"})
_BEGINNINGS = {b"{": "json", b"[": "json", b"<": "xml"}
_CONTENT_RANGE = re.compile(r"bytes \d+-\d+/\d+$")
_FIRST_REFUSAL = 400
_FIRST_FAILURE = 500
_NO_CONTENT = 204


def is_of_the_line(error: BaseException) -> bool:
    """Tell whether an error, none of the SDKs', says that a connection or an answer broke."""
    if isinstance(error, ssl.SSLError | ConnectionError | http.client.HTTPException):
        return True
    return any(of.__module__.partition(".")[0] in _LIBRARIES for of in type(error).__mro__)


class WholeAnswers(RequestsTransport):  # type: ignore[misc]  # has no type there
    """The SDKs' way to the network; an answer that is not whole is a `ServiceResponseError`."""

    def __init__(self) -> None:
        super().__init__(connection_data_block_size=BLOCK_BYTES, **TIMEOUTS)

    def open(self) -> None:
        """Open it; an answer that does not say of what type it is, is of the type asked for."""
        is_new = self.session is None
        super().open()
        if is_new:
            self.session.hooks["response"] = [_say_type]
            demand_whole_heads(self.session)

    def send(self, request: Any, **options: Any) -> Any:
        """Send a request, and return its answer.

        Raises:
            ServiceRequestError: the service could not be reached.
            ServiceResponseError: there was no answer, or only the beginning of one.
        """
        try:
            answer = super().send(request, **options)
        except (ServiceRequestError, ServiceResponseError):
            raise
        except Exception as error:
            if isinstance(error, AzureError) or is_of_the_line(error):
                raise ServiceResponseError(f"it broke off: {error}", error=error) from error
            raise
        _check_range(request, answer)
        if not options.get("stream"):
            _check_whole(request, answer)
        return answer


def _say_type(answer: Any, **_: Any) -> None:
    wanted = answer.request.headers.get("Accept", "")
    if "Content-Type" not in answer.headers and wanted in {"application/json", "application/xml"}:
        answer.headers["Content-Type"] = wanted


def _check_range(request: Any, answer: Any) -> None:
    """Look whether a part of a blob says which part it is: the SDK cannot do without that.

    Raises:
        ServiceResponseError: it does not.
    """
    said = str(answer.headers.get("Content-Range", ""))
    is_part = "x-ms-range" in request.headers and answer.status_code < _FIRST_REFUSAL
    if is_part and not _CONTENT_RANGE.match(said):
        raise ServiceResponseError(f"it does not say which part it is (Content-Range: {said!r})")


def _check_whole(request: Any, answer: Any) -> None:
    """Look whether the content is whole, also where no length says how long it is.

    Raises:
        ServiceResponseError: it is not.
    """
    status, content = answer.status_code, bytes(answer.body())
    if status >= _FIRST_FAILURE or request.method == "HEAD":
        # The status says enough.
        return
    kind = _BEGINNINGS.get(content.lstrip()[:1])
    if status < _FIRST_REFUSAL and status != _NO_CONTENT:
        kind = _awaited(request) or (kind if content else None)
    elif "html" in str(answer.content_type):
        return
    try:
        if kind == "json":
            json.loads(content.decode("utf-8-sig"))
        elif kind == "xml":
            ET.fromstring(content)  # noqa: S314 - as the SDK does next
    except (ValueError, ET.ParseError) as error:
        reason = f"it broke off after {len(content)} bytes, or is not {kind}"
        raise ServiceResponseError(f"{reason}: {error}", error=error) from error


def _awaited(request: Any) -> str | None:
    """Return which kind of content a good answer to a request must have; None: it need not."""
    accept = request.headers.get("Accept", "")
    if accept == "application/xml":
        return "xml" if "comp=list" in request.url else None
    return "json" if accept == "application/json" else None


class RepeatLostCalls(RetryPolicy[Any, Any]):
    """The retries of Batch's client; a call that takes long is reported."""

    def __init__(self) -> None:
        super().__init__(retry_backoff_factor=0.5, **RETRIES)

    def send(self, request: Any) -> Any:
        """Send a request until it has an answer."""
        with slow_calls.noted(request.http_request.url):
            return super().send(request)


class RepeatLostBlobCalls(ExponentialRetry):
    """The retries of storage's client; a call that takes long is reported."""

    def __init__(self) -> None:
        super().__init__(initial_backoff=1, increment_base=2, random_jitter_range=1, **RETRIES)

    def send(self, request: Any) -> Any:
        """Send a request until it has an answer."""
        with slow_calls.noted(request.http_request.url):
            return super().send(request)  # type: ignore[no-untyped-call]


def ignore(_: object) -> None:
    """Do nothing with an answer."""


class RepeatEveryMethod(SansIOHTTPPolicy[Any, Any]):
    """Have the SDK repeat lost POST and PATCH calls too: every step here is safe to repeat."""

    def on_request(self, request: PipelineRequest[Any]) -> None:
        """Widen the methods that azure-core repeats after a lost connection."""
        request.context.options["retry_on_methods"] = frozenset(
            {"GET", "HEAD", "PUT", "DELETE", "POST", "PATCH"}
        )

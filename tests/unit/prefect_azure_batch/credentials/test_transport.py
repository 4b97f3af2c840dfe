"""An answer that is not whole is none, wherever it breaks off; on a real server of HTTP."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
from azure.core.exceptions import ServiceResponseError
from azure.core.rest import HttpRequest

from prefect_azure_batch.credentials.transport import WholeAnswers

OK = b"HTTP/1.1 200 OK\r\n"
JSON = b"Content-Type: application/json\r\n"
XML = b"Content-Type: application/xml\r\n"


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Answer one call with these bytes, then hang up; give the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            """Answer."""
            client, _ = listener.accept()
            with client:
                client.recv(65536)
                client.sendall(answer)

        thread = Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def answer_to(answer: bytes, method: str = "GET", path: str = "/", **headers: str) -> Any:
    """Return what the transport makes of an answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with answering(answer) as url, WholeAnswers() as transport:
        return transport.send(HttpRequest(method, url + path, headers=named))


@pytest.mark.parametrize(
    ("answer", "headers"),
    [
        (b"", {}),
        (b"HTTP/1.1 20", {}),
        (OK + b"Content-Length: 0\r\nx-ms-meta-flow", {}),
        (OK + b"Content-Length: 0\r\nx-ms-meta-a: b\r\n", {}),
        (OK + JSON + b'Content-Length: 9\r\n\r\n{"a"', {}),
        (OK + JSON + b"Transfer-Encoding: chunked\r\n\r\n9\r\n{", {}),
        (OK + JSON + b'\r\n{"a": [1', {}),
        (OK + b'\r\n{"a": [1', {"Accept": "application/json"}),
        (OK + b"Content-Length: 0\r\n\r\n", {"Accept": "application/json"}),
        (OK + b"Content-Type: text/html\r\n\r\n<p>hello", {"Accept": "application/json"}),
        (OK + XML + b"\r\n<List><Blob>", {"Accept": "application/xml"}),
        (b"HTTP/1.1 404 Not Found\r\n" + JSON + b'\r\n{"code": "JobNo', {}),
        (OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", {}),
        (b"HTTP/1.1 206 Part\r\nContent-Length: 1\r\n\r\na", {"x_ms_range": "bytes=0-9"}),
    ],
)
def test_answers_that_are_not_whole(answer: bytes, headers: dict[str, str]) -> None:
    """Cut in status, headers or content, with a length or without, an answer is none."""
    with pytest.raises(ServiceResponseError):
        answer_to(answer, **headers)


@pytest.mark.parametrize(
    ("answer", "status", "headers"),
    [
        (OK + b"Content-Length: 0\r\n\r\n", 200, {}),
        (OK + b"\r\n", 200, {"Accept": "application/xml"}),
        (OK + JSON + b'\r\n\xef\xbb\xbf{"a": 1}', 200, {"Accept": "application/json"}),
        (OK + XML + b"\r\n<List/>", 200, {"Accept": "application/xml"}),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, {"Accept": "application/json"}),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", 503, {"Accept": "application/json"}),
        (b"HTTP/1.1 503 Bad\r\n" + JSON + b'\r\n{"code', 503, {"Accept": "application/json"}),
        (b"HTTP/1.1 403 No\r\nContent-Type: text/html\r\n\r\n<p>no", 403, {}),
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", 404, {}),
    ],
)
def test_answers_that_are_whole(answer: bytes, status: int, headers: dict[str, str]) -> None:
    """Whatever else an answer leaves out, it is one; and its status is enough of a failure."""
    assert answer_to(answer, **headers).status_code == status


def test_list_without_content() -> None:
    """A list of storage is never empty of all content."""
    with pytest.raises(ServiceResponseError):
        answer_to(OK + b"\r\n", path="/?comp=list", Accept="application/xml")


def test_answer_without_a_type() -> None:
    """What does not say what it is, is what was asked for."""
    answer = answer_to(OK + b"\r\n<List/>", Accept="application/xml")

    assert answer.content_type == "application/xml"

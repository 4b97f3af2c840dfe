"""Requests that are never sent to their end: they end, and slow ones that are legal do not."""

import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from tests.support.emulator.emulators import Emulator, started
from tests.support.emulator.raw_http import VERSION, ask, authorization
from tests.support.processes import wait_until

LIMIT_S = 0.5
HEAD = b"GET /pools HTTP/1.1\r\nHost: localhost\r\n"
POST = f"POST /pools?{VERSION} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n".encode()


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator that waits half a second, and has control endpoints."""
    options = ("--control", "--request-timeout-s", str(LIMIT_S))
    with started(tmp_path_factory.mktemp("hasty"), *options) as running:
        yield running
        assert running.log.read_text() == ""


@pytest.fixture
def connection(hasty: Emulator) -> Iterator[socket.socket]:
    """A connection to it."""
    host, _, port = hasty.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as opened:
        yield opened


def heard(connection: socket.socket) -> bytes:
    """Return all that comes until the other side ends the connection."""
    received = b""
    while block := connection.recv(65536):
        received += block
    return received


def trickled(connection: socket.socket, piece: bytes, pause_s: float) -> int:
    """Send a hundred pieces one by one; return after how many the other side has left."""
    for number in range(100):
        try:
            connection.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            return number
        time.sleep(pause_s)
    return 100


@pytest.mark.parametrize("sent", [b"", b"G", HEAD, HEAD + b"X: "])
def test_half_a_head(connection: socket.socket, sent: bytes) -> None:
    """A head that does not come ends the connection, with 408 if it had begun."""
    connection.sendall(sent)

    assert heard(connection)[:13] == (b"HTTP/1.1 408 " if sent else b"")


def test_half_a_head_after_a_request(connection: socket.socket) -> None:
    """The second request of a connection has the same limit as the first."""
    connection.sendall(HEAD + b"\r\n")
    assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")
    connection.sendall(HEAD)

    assert b"HTTP/1.1 408 " in heard(connection)


def test_a_head_byte_by_byte(connection: socket.socket) -> None:
    """Bytes that trickle in do not prolong the limit of a head."""
    assert trickled(connection, b"X", pause_s=LIMIT_S / 10) < 100


def test_half_a_body(connection: socket.socket) -> None:
    """A body that does not come is an error like any other, and ends the connection."""
    date = format_datetime(datetime.now(UTC), usegmt=True)
    signature = authorization(
        "POST", "/pools", VERSION, {"ocp-date": date, "content-length": "1000"}
    )
    head = POST + f"ocp-date: {date}\r\nAuthorization: {signature}\r\n\r\n".encode()
    connection.sendall(head + b"{")

    answer, _, body = heard(connection).partition(b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["code"] == "OperationTimedOut"
    assert "1 bytes of it came" in json.loads(body)["message"]["value"]


def test_half_a_body_of_a_control_endpoint(connection: socket.socket) -> None:
    """Control endpoints have the same limit."""
    connection.sendall(POST.replace(b"/pools?", b"/_emulator/faults?") + b"\r\n{")

    assert heard(connection).startswith(b"HTTP/1.1 408 ")


def test_half_a_body_that_is_refused(connection: socket.socket) -> None:
    """A request that is answered before its body has come does not keep its connection."""
    connection.sendall(POST + b"\r\n{")

    assert heard(connection).startswith(b"HTTP/1.1 401 ")


def test_half_a_body_of_a_page(connection: socket.socket) -> None:
    """Nor does one of a page in a browser."""
    connection.sendall(POST + b"Origin: null\r\n\r\n{")

    assert heard(connection).startswith(b"HTTP/1.1 403 ")


def test_a_body_that_trickles(connection: socket.socket) -> None:
    """Byte by byte a body gets four times the limit, and no more."""
    connection.sendall(
        b"POST /_emulator/faults HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    )

    assert 10 < trickled(connection, b" ", pause_s=LIMIT_S / 5) < 100


def test_a_slow_body_is_taken(connection: socket.socket) -> None:
    """An upload that takes three times the limit, in pieces, is answered like any other."""
    body = json.dumps({"allocation": 0.05}).encode()
    head = f"POST /_emulator/delays HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    connection.sendall(head.encode() + b"Connection: close\r\n\r\n")
    for number in range(len(body)):
        connection.sendall(body[number : number + 1])
        time.sleep(3 * LIMIT_S / len(body))

    assert heard(connection).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_leaves_is_no_failure(hasty: Emulator) -> None:
    """A connection that is closed in the middle of a body leaves no trace in the log."""
    host, _, port = hasty.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as leaving:
        leaving.sendall(POST.replace(b"/pools?", b"/_emulator/faults?") + b"\r\n{")

    wait_until(lambda: ask(hasty, "GET", f"/pools?{VERSION}").status == 200)

"""What a client may not do to the emulator: fill its memory, hold up others, reach it from afar."""

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from azure.batch import BatchClient

from tests.support.emulator import builders as kit
from tests.support.emulator.emulators import Emulator, client_of
from tests.support.emulator.raw_http import VERSION, ask

MIB = 1024 * 1024


def address_of(emulator: Emulator) -> tuple[str, int]:
    """Return where an emulator listens."""
    parts = urlsplit(emulator.url)
    return str(parts.hostname), int(parts.port or 0)


def memory_of(emulator: Emulator) -> int:
    """Return the most bytes of memory that an emulator has held at once."""
    status = Path(f"/proc/{emulator.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def test_it_listens_on_loopback_only(emulator: Emulator) -> None:
    """Its port answers on 127.0.0.1 and on no other address of the machine."""
    listening = "0A"
    port = f"{address_of(emulator)[1]:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]

    listeners = [line[1] for line in lines if line[3] == listening and line[1].endswith(f":{port}")]

    assert listeners == [f"0100007F:{port}"]


def test_large_bodies_are_refused(emulator: Emulator) -> None:
    """More than 4 MB are 413, whatever the operation."""
    answer = ask(emulator, "POST", f"/pools?{VERSION}", b" " * (4 * MIB + 1))

    assert (answer.status, answer.json["code"]) == (413, "RequestBodyTooLarge")


def test_large_bodies_are_not_kept(emulator: Emulator) -> None:
    """A body of 200 MB takes a fraction of that of memory."""
    before = memory_of(emulator)
    answer = ask(emulator, "POST", f"/pools?{VERSION}", bytes(200 * MIB))

    assert answer.status == 413
    assert memory_of(emulator) - before < 50 * MIB


def test_collections_have_a_limit_of_their_own(batch: BatchClient) -> None:
    """More than 1 MB of tasks are 413, upon which the SDK sends fewer at once."""
    job_id = kit.a_job(batch, kit.new_id("pool"))
    tasks = [kit.task_options("x" * 10_000) for _ in range(120)]

    batch.create_tasks(job_id, tasks)

    assert len(list(batch.list_tasks(job_id))) == 120


@pytest.mark.parametrize("body", [b"[" * 100_000, b"\xff\xfe", b'{"id": 1e999'])
def test_bodies_that_are_no_json(batch: BatchClient, body: bytes) -> None:
    """Deep nesting and bad bytes are a 400 like any other mistake."""
    headers = {"content-type": "application/json"}

    with kit.refused(400, "InvalidRequestBody"):
        kit.send(batch, "POST", "/pools", content=body, headers=headers)


def test_slow_clients_do_not_hold_up_others(emulator: Emulator) -> None:
    """Fifty that have sent half a request each leave the others their answers."""
    half = b"POST /pools HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"
    slow = [socket.create_connection(address_of(emulator)) for _ in range(50)]
    try:
        for connection in slow:
            connection.sendall(half)
        with client_of(emulator, retry_total=0, read_timeout=5) as client:
            assert next(iter(client.list_supported_images()))
    finally:
        for connection in slow:
            connection.close()


def test_slow_readers_do_not_hold_up_others(batch: BatchClient, emulator: Emulator) -> None:
    """Nor do those that ask for much and do not read it."""
    request = f"GET /supportedimages?{VERSION} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with socket.create_connection(address_of(emulator)) as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        lazy.sendall(request * 1000)
        assert next(iter(batch.list_supported_images()))


def test_the_sdk_hears_of_large_bodies(batch: BatchClient) -> None:
    """A job of 5 MB is refused, and the connection goes on."""
    with kit.refused(413, "RequestBodyTooLarge"):
        kit.a_job(batch, kit.new_id("pool"), display_name="x" * (5 * MIB))

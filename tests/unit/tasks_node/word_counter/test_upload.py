"""Uploads, against a real HTTP server that records and can refuse."""

import base64
import hashlib
import socket
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.support.blob_servers import DROP, WRITE_SAS, WritableContainer
from tests.support.node_program import (
    assert_refused,
    run_program,
)
from word_counter.refusals import Refusal
from word_counter.storage import Location
from word_counter.upload import upload


def run_with_upload(folder: Path, url: str, output: str = "out.txt") -> CompletedProcess[bytes]:
    """Count one word and upload to a container; check that nothing of the SAS is printed."""
    done = run_program(
        folder,
        *("--filepath", "-", "--numwords", "1", "--output", output),
        environment={"TOP_WORDS_CONTAINER_URL": url},
        stdin=b"word",
    )
    assert b"sig" not in done.stdout + done.stderr
    assert b"s3cret" not in done.stdout + done.stderr
    return done


def attempt(service: WritableContainer, scheme: str = "http") -> list[float]:
    """Upload in this process and return the pauses that were asked for, not waited for."""
    pauses: list[float] = []
    container = Location(scheme, f"127.0.0.1:{service.port}", "/output", WRITE_SAS)
    upload(container, "out.txt", Path(__file__), pauses.append)
    return pauses


def test_the_output_is_put_as_a_block_blob(tmp_path: Path, service: WritableContainer) -> None:
    """One PUT carries the output file, its digest and the headers of a block blob."""
    done = run_with_upload(tmp_path, service.url())

    [request] = service.requests
    body = (tmp_path / "out.txt").read_bytes()
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    assert done.returncode == 0, done.stderr
    assert request.target == f"/account/output/out.txt?{WRITE_SAS}"
    assert request.body == body
    assert request.headers["content-md5"] == base64.b64encode(digest).decode()
    assert request.headers["content-length"] == str(len(body))
    assert request.headers["x-ms-blob-type"] == "BlockBlob"
    assert request.headers["x-ms-version"] == "2021-12-02"


def test_nothing_is_uploaded_without_a_container(
    tmp_path: Path, service: WritableContainer
) -> None:
    """An empty variable means no upload, as an absent one does."""
    assert run_with_upload(tmp_path, "").returncode == 0
    assert service.requests == []


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("a b?c#d%.txt", "a%20b%3Fc%23d%25.txt"),
        ("line\nend.txt", "line%0Aend.txt"),
        ("Größe.txt", "Gr%C3%B6%C3%9Fe.txt"),
    ],
)
def test_the_blob_name_is_percent_encoded(
    tmp_path: Path, service: WritableContainer, name: str, encoded: str
) -> None:
    """Whatever the output's name holds is part of the blob's name and not of the URL."""
    run_with_upload(tmp_path, service.url(), name)

    [request] = service.requests
    assert request.target == f"/account/output/{encoded}?{WRITE_SAS}"


def test_only_the_base_name_goes_into_the_blob_name(
    tmp_path: Path, service: WritableContainer
) -> None:
    """The folder of the output is not part of the blob's name, and `container/` is `container`."""
    run_with_upload(tmp_path, service.url("output/"), str(tmp_path / "x.txt"))

    [request] = service.requests
    assert request.target == f"/account/output/x.txt?{WRITE_SAS}"


def test_a_passing_failure_is_retried(tmp_path: Path, service: WritableContainer) -> None:
    """After a 503 the same body is put again, and the run succeeds."""
    service.refusals = [503]

    done = run_with_upload(tmp_path, service.url())

    assert done.returncode == 0, done.stderr
    assert [request.body for request in service.requests] == [service.requests[0].body] * 2


@pytest.mark.parametrize("status", [408, 429, 500, 503, DROP])
def test_throttling_server_errors_and_lost_connections_pass(
    service: WritableContainer, status: int
) -> None:
    """Each failure that may pass is retried."""
    service.refusals = [status]

    assert len(attempt(service)) == 1
    assert len(service.requests) == 2


def test_pauses_double_with_jitter(service: WritableContainer) -> None:
    """The n-th pause is between a half and the whole of 0.5 s times 2 to the n."""
    service.refusals = [500] * 5

    pauses = attempt(service)

    assert [0.5 <= pause / (0.5 * 2**n) <= 1 for n, pause in enumerate(pauses)] == [True] * 5


def test_retries_are_bounded(service: WritableContainer) -> None:
    """After five retries the upload has failed, with the last answer as the reason."""
    service.refusals = [500] * 9

    with pytest.raises(Refusal, match=r"'out\.txt' failed: HTTP 500 SomeCode"):
        attempt(service)

    assert len(service.requests) == 6


@pytest.mark.parametrize("status", [400, 403, 404, 409])
def test_a_refusal_is_final_and_exits_4(
    tmp_path: Path, service: WritableContainer, status: int
) -> None:
    """A 4xx is not retried; the reason is its status and code, and the output file stays."""
    service.refusals = [status]

    done = run_with_upload(tmp_path, service.url())

    assert_refused(done, 4, "'out.txt'", f"HTTP {status} SomeCode")
    assert len(service.requests) == 1
    assert (tmp_path / "out.txt").exists()


@pytest.mark.parametrize("status", [200, 301, 307, 308])
def test_redirects_are_not_followed(
    tmp_path: Path, service: WritableContainer, status: int
) -> None:
    """Anything but 201 is a failure, and the SAS goes nowhere else."""
    service.refusals = [status]

    assert_refused(run_with_upload(tmp_path, service.url()), 4, f"HTTP {status}")
    assert len(service.requests) == 1


def test_a_closed_port_is_a_lost_connection() -> None:
    """An endpoint where nobody listens is tried again and then reported by its error alone."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(Refusal, match=r"ConnectionRefusedError: Connection refused$"):
        attempt(WritableContainer(port))


def test_https_is_never_spoken_in_the_clear(service: WritableContainer) -> None:
    """For an https URL a server without TLS gets no request, and no SAS."""
    with pytest.raises(Refusal, match="SSLError"):
        attempt(service, "https")

    assert service.requests == []


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://host/output?{WRITE_SAS}",
        f"http:///output?{WRITE_SAS}",
        f"http://host?{WRITE_SAS}",
        f"http://host/?{WRITE_SAS}",
        f"http://host:port/output?{WRITE_SAS}",
        f"http://user:password@host/output?{WRITE_SAS}",
        f"http://[::1/output?{WRITE_SAS}",
        f"http://host/output?{WRITE_SAS} {WRITE_SAS}",
        f"http://host/output?{WRITE_SAS}\nx: y",
        f"http://host/output?{WRITE_SAS}#part",
        "http://host/output",
        WRITE_SAS,
    ],
)
def test_a_url_that_is_none_exits_4_at_once(tmp_path: Path, url: str) -> None:
    """A malformed URL is refused before any work, and its text is not repeated."""
    done = run_with_upload(tmp_path, url)

    assert_refused(done, 4, "TOP_WORDS_CONTAINER_URL")
    assert b"host" not in done.stderr
    assert list(tmp_path.iterdir()) == []

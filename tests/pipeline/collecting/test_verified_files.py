"""Files read from a container: verified by the service's digest, and read again when damaged."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient

from prefect_azure_batch.collecting.verified_files import fetch
from prefect_azure_batch.errors import ServiceError
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.tasks import BlobPlace
from prefect_azure_batch.service.clients import Services
from tests.support.http_server import QuietHandler, serving
from tests.support.pipeline.outputs import put

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_blob_becomes_a_file(
    services: Services, run: Run, outputs: ContainerClient, tmp_path: Path
) -> None:
    """A blob is downloaded whole, in place of what was there, and nothing else is left."""
    content = bytes(range(256)) * 20_000
    put(outputs, "a", content)
    (tmp_path / "a").write_text("old")

    assert fetch(services, BlobPlace(run.output_container, "a"), tmp_path / "a") == ""
    assert (tmp_path / "a").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_file_that_is_there_already(
    services: Services, run: Run, outputs: ContainerClient, tmp_path: Path
) -> None:
    """A file with the blob's size and MD5 is left as it is."""
    put(outputs, "a", b"same")
    (tmp_path / "a").write_bytes(b"same")
    before = (tmp_path / "a").stat()

    assert fetch(services, BlobPlace(run.output_container, "a"), tmp_path / "a") == ""
    assert (tmp_path / "a").stat().st_ino == before.st_ino


@pytest.mark.parametrize("is_there", [True, False])
def test_absent_blob(
    services: Services,
    outputs: ContainerClient,
    tmp_path: Path,
    is_there: bool,  # noqa: FBT001 - a table
) -> None:
    """Without a blob there is a reason, and no file of an earlier run."""
    if is_there:
        (tmp_path / "a").write_text("old")

    reason = fetch(services, BlobPlace(outputs.container_name, "a"), tmp_path / "a")

    assert reason == "'a' is not there"
    assert list(tmp_path.iterdir()) == []


def test_damaged_blob(
    services: Services, run: Run, outputs: ContainerClient, tmp_path: Path
) -> None:
    """Bytes that have another MD5 than the blob says make no file."""
    put(outputs, "a", b"content", md5=b"0" * 16)

    assert "damaged" in fetch(services, BlobPlace(run.output_container, "a"), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_absent_container(services: Services, run: Run, tmp_path: Path) -> None:
    """A container that somebody deleted is an error, and not an absent output."""
    with pytest.raises(ServiceError, match="ContainerNotFound"):
        fetch(services, BlobPlace(run.output_container, "a"), tmp_path / "a")


@contextmanager
def line_that_breaks(content: bytes, num_breaks: int) -> Iterator[tuple[str, list[str]]]:
    """Serve one blob, the first times only half of it; give the URL and the requests."""
    requests: list[str] = []

    class Handler(QuietHandler):
        """Answers every GET with the blob."""

        def do_GET(self) -> None:  # noqa: N802 - the name that the library calls
            """Send the blob, or break off in the middle of it."""
            requests.append(self.path)
            self.send_response(206)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Range", f"bytes 0-{len(content) - 1}/{len(content)}")
            self.send_header("ETag", '"1"')
            self.end_headers()
            is_broken = len(requests) <= num_breaks
            self.wfile.write(content[: len(content) // 2] if is_broken else content)
            self.close_connection = True

    with serving(Handler) as url:
        yield f"{url}/account", requests


@pytest.mark.parametrize("num_breaks", [1, 4])
def test_line_that_breaks(services: Services, tmp_path: Path, num_breaks: int) -> None:
    """A download that breaks off is begun again, and what arrives in the end is whole."""
    content = b"0123456789" * 10_000
    with (
        line_that_breaks(content, num_breaks) as (url, requests),
        BlobServiceClient(url) as blobs,
    ):
        broken = replace(services, blobs=blobs)
        assert fetch(broken, BlobPlace("c", "a"), tmp_path / "a") == ""

    assert (tmp_path / "a").read_bytes() == content
    assert len(requests) == num_breaks + 1

"""Resource files: from a real Azurite onto the Batch emulator's nodes."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from azure.batch import BatchClient, models
from azure.storage.blob import ContainerClient

from local_azure.batch.machine.transfer import Halt, TransferError, download
from tests.support.emulator import builders as kit
from tests.support.emulator.blobs import blob, file_in, files_out, signed
from tests.support.emulator.emulators import Emulator, client_of
from tests.support.full_disk import full_disk
from tests.support.http_server import QuietHandler, serving
from tests.support.processes import wait_until
from tests.support.proxy import asked_proxy


class _Breaking(QuietHandler):
    """Promises a hundred bytes and sends ten."""

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server asks for
        """Answer with the beginning of a file."""
        self.answer(b"0123456789", length=100)


class _Luring(QuietHandler):
    """Lists one blob whose name leads out of every folder, and gives it a content."""

    NAME = "../../../../../shared/lured.txt"

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server asks for
        """Answer a listing, or a blob."""
        listing = f"<EnumerationResults><Blobs><Blob><Name>{self.NAME}</Name></Blob></Blobs>"
        is_listing = "comp=list" in self.path
        self.answer((f"{listing}</EnumerationResults>" if is_listing else "lured").encode())


def _putting_a_fifo(nodes_dir: Path, place: str) -> type[QuietHandler]:
    """Return a handler whose first answer makes a FIFO in the working directory of the task."""

    class Putting(QuietHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name that http.server asks for
            """Answer with a file."""
            for folder in nodes_dir.glob("*/*/workitems/*/*/*/wd"):
                with suppress(FileExistsError):
                    os.mkfifo(folder / place)
            self.answer(b"x")

    return Putting


@pytest.fixture
def breaking_server() -> Iterator[str]:
    """A URL whose server breaks off in the middle of a file."""
    with serving(_Breaking) as url:
        yield f"{url}/half"


def test_a_blob_becomes_a_resource_file(
    batch: BatchClient, job: str, container: ContainerClient
) -> None:
    """It is there before the command starts, under the path it was given."""
    url = blob(container, "ä b.txt", "text ü".encode())

    heard = kit.said(
        batch, job, "cat 'deep/new name.txt'", resource_files=[file_in(url, "deep/new name.txt")]
    )

    assert heard == "text ü"


@pytest.mark.parametrize(("mode", "shown"), [(None, "770"), ("0644", "644")])
def test_the_mode_of_a_resource_file(
    batch: BatchClient, job: str, container: ContainerClient, mode: str | None, shown: str
) -> None:
    """It is 0770 unless another is asked for."""
    url = blob(container, "x", b"")

    heard = kit.said(batch, job, "stat -c %a in.txt", resource_files=[file_in(url, mode=mode)])

    assert heard.strip() == shown


def test_a_container_becomes_resource_files(
    batch: BatchClient, job: str, container: ContainerClient
) -> None:
    """All its blobs come, each under its name."""
    for name in ("a.txt", "dir/b.txt"):
        container.upload_blob(name, name)
    source = models.ResourceFile(storage_container_url=signed(container, "rl"), file_path="in")

    heard = kit.said(batch, job, "find in -type f | sort", resource_files=[source])

    assert heard.split() == ["in/a.txt", "in/dir/b.txt"]


def test_a_prefix_chooses_blobs_of_a_container(
    batch: BatchClient, job: str, container: ContainerClient
) -> None:
    """Only blobs that begin with it come, and they keep their whole names."""
    for name in ("dir/a", "dir/b", "other"):
        container.upload_blob(name, name)
    source = models.ResourceFile(storage_container_url=signed(container, "rl"), blob_prefix="dir/")

    heard = kit.said(batch, job, "find . -type f | sort", resource_files=[source])

    assert heard.split() == ["./dir/a", "./dir/b"]


@pytest.mark.parametrize(
    ("damage", "code"),
    [("/gone?", "BlobNotFound"), ("?sig=wrong&", "BlobAccessDenied")],
)
def test_a_blob_that_cannot_be_had(
    batch: BatchClient, job: str, container: ContainerClient, damage: str, code: str
) -> None:
    """The task fails without an exit code, and no message shows the SAS."""
    blob(container, "x", b"")
    url = signed(container, "r").replace("?", damage if "gone" in damage else f"/x{damage}")
    if code == "BlobAccessDenied":
        url = url.replace("sp=r&", "sp=rw&")

    task = kit.run(batch, job, "true", resource_files=[file_in(url)])

    info = kit.info_of(task)
    assert (kit.failure_code(task), info.exit_code) == (code, None)
    assert "sig=" not in str(info.failure_info and info.failure_info.as_dict())


@pytest.mark.parametrize(
    "url", ["no url", "ftp://x/y", "http://[::1/x", "http://127.0.0.1:9/a b", "http://127.0.0.1:9"]
)
def test_urls_that_are_none(batch: BatchClient, job: str, url: str) -> None:
    """The task fails; it does not hang."""
    task = kit.run(batch, job, "true", resource_files=[file_in(url)])

    assert str(kit.failure_code(task)).startswith("Blob")


def test_a_container_url_that_is_none(batch: BatchClient, job: str) -> None:
    """Bad URLs of containers fail the task, in and out."""
    source = models.ResourceFile(storage_container_url="http://[::1/x")

    came = kit.run(batch, job, "true", resource_files=[source])
    went = kit.run(batch, job, "true", output_files=files_out("http://[::1/x", "../stdout.txt"))

    assert kit.failure_code(came) == "BlobNotFound"
    assert kit.failure_code(went) == "FileUploadContainerNotFound"


def test_a_file_that_breaks_off(batch: BatchClient, job: str, breaking_server: str) -> None:
    """Half a file is none: the task fails and does not run on it."""
    task = kit.run(batch, job, "true", resource_files=[file_in(breaking_server)])

    assert kit.failure_code(task) == "BlobDownloadMiscError"


def test_a_blob_name_cannot_lead_out_of_the_working_directory(
    batch: BatchClient, job: str, emulator: Emulator
) -> None:
    """Whatever a container says its blobs are called, files stay in the task's own folder."""
    with serving(_Luring) as url:
        source = models.ResourceFile(storage_container_url=f"{url}/container?sas=1")
        task = kit.run(batch, job, "true", resource_files=[source])

    assert kit.failure_code(task) == "ResourceFileWriteFailed"
    assert list(emulator.nodes_dir.rglob("lured.txt")) == []


@pytest.mark.parametrize(
    ("place", "code"),
    [("second.txt", "ResourceFileWriteFailed"), ("../stdout.txt", "CommandLaunchFailed")],
)
def test_a_fifo_in_the_place_of_a_file(
    batch: BatchClient, job: str, emulator: Emulator, place: str, code: str
) -> None:
    """What another process has put there fails the task, and holds up nobody."""
    with serving(_putting_a_fifo(emulator.nodes_dir, place)) as url:
        files = [file_in(url, name) for name in ("first.txt", "second.txt")]
        task = kit.run(batch, job, "true", resource_files=files)

    assert kit.failure_code(task) == code
    with client_of(emulator, retry_total=0, read_timeout=5) as client:
        assert next(iter(client.list_supported_images()))


def test_downloads_that_hang_hold_up_nobody(
    batch: BatchClient, container: ContainerClient, silent_server: str
) -> None:
    """Other tasks get their files meanwhile, and the hanging ones can be deleted."""
    pool = kit.a_pool(batch, target_dedicated_nodes=2, task_slots_per_node=8)
    job = kit.a_job(batch, pool)
    hanging = [kit.a_task(batch, job, resource_files=[file_in(silent_server)]) for _ in range(15)]
    for task in hanging:
        kit.reach(batch, job, task, "preparing")
    url = blob(container, "x", b"here")

    assert kit.said(batch, job, "cat in.txt", resource_files=[file_in(url)]) == "here"

    for task in hanging:
        batch.delete_task(job, task)
    wait_until(lambda: {node.state for node in batch.list_nodes(pool)} == {"idle"})


def test_a_start_task_has_resource_files(batch: BatchClient, container: ContainerClient) -> None:
    """They come into its own working directory."""
    start_task = models.BatchStartTask(
        command_line=kit.sh('cp in.txt "$AZ_BATCH_NODE_SHARED_DIR"'),
        resource_files=[file_in(blob(container, "x", b"shared"))],
    )
    job = kit.a_job(batch, kit.a_pool(batch, start_task=start_task))

    assert kit.said(batch, job, 'cat "$AZ_BATCH_NODE_SHARED_DIR/in.txt"') == "shared"


def test_full_disk_names_the_file(tmp_path: Path) -> None:
    """Of what a full disk does not take, the name is reported."""
    with serving(_Luring) as url, full_disk(), pytest.raises(OSError, match=r"a\.txt"):
        download(f"{url}/a", tmp_path / "a.txt", 0o600, Halt())


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_proxy_is_asked_for_real_services_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """A blob of the cloud comes through the environment's proxy, one of this machine without."""
    for variable in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    with asked_proxy() as proxy, serving(_Breaking) as here:
        monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)

        for url in ("https://account.blob.core.windows.net/c/a.txt", f"{here}/half"):
            with pytest.raises(TransferError):
                download(url, tmp_path / "a.txt", 0o600, Halt())

    # Clients of other tests may still be at work in this process, and ask the proxy, too.
    assert "CONNECT account.blob.core.windows.net:443" in proxy.asked
    assert not [line for line in proxy.asked if "half" in line]

"""The Batch emulator alone, once per run, and the check that no test leaves anything in it."""

import base64
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from azure.batch import BatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import BlobServiceClient, ContainerClient

from tests.emulator.builders import a_job, a_pool
from tests.processes import wait_until

ACCOUNT = "testaccount"
KEY = base64.b64encode(b"a key that signs requests in tests").decode()


@dataclass(frozen=True)
class Emulator:
    """A running emulator: its URL, the folder of its nodes, its process and its log."""

    url: str
    nodes_dir: Path
    process: subprocess.Popen[str]
    log: Path

    def task_pids(self, command: str = "") -> list[int]:
        """Return the processes of tasks whose command line contains a text."""
        mark = f"AZ_BATCH_NODE_ROOT_DIR={self.nodes_dir}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                environment, line = ((entry / n).read_bytes() for n in ("environ", "cmdline"))
            except OSError:  # it has just ended, or is no process of ours
                continue
            if mark in environment and command.encode() in line.replace(b"\0", b" "):
                found.append(int(entry.name))
        return found

    def is_clean(self) -> bool:
        """Return whether neither a task's process nor a node's folder is there."""
        return not self.task_pids() and not any(self.nodes_dir.iterdir())


@contextmanager
def started(folder: Path) -> Iterator[Emulator]:
    """Run an emulator whose nodes and log are in a folder, and stop it by SIGTERM."""
    log = folder / "log.txt"
    environment = os.environ | {
        "LOCAL_AZURE_BATCH_ACCOUNT": ACCOUNT,
        "LOCAL_AZURE_BATCH_KEY": KEY,
        "SECRET_OF_THE_EMULATOR": "must not reach a task",
    }
    command = [sys.executable, "-m", "local_azure.batch", "--nodes-dir", str(folder / "nodes")]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdout
        url = process.stdout.readline().removeprefix("ready ").strip()
        yield Emulator(url, folder / "nodes", process, log)
        process.terminate()
        process.wait(timeout=10)


def client_of(emulator: Emulator) -> BatchClient:
    """Return the SDK's client of an emulator."""
    return BatchClient(emulator.url, AzureNamedKeyCredential(ACCOUNT, KEY))


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """The Batch emulator, one for the whole run."""
    with started(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture(scope="session")
def emulator_client(emulator: Emulator) -> Iterator[BatchClient]:
    """The SDK's client of that emulator."""
    with client_of(emulator) as client:
        yield client


@pytest.fixture
def batch(emulator: Emulator, emulator_client: BatchClient) -> Iterator[BatchClient]:
    """The client; afterwards all pools and jobs are deleted, and nothing of them may be left."""
    logged = emulator.log.read_text()
    yield emulator_client
    _delete_all(emulator_client)
    wait_until(lambda: not [*emulator_client.list_pools(), *emulator_client.list_jobs()])
    wait_until(emulator.is_clean)
    assert emulator.log.read_text().removeprefix(logged) == ""


def _delete_all(client: BatchClient) -> None:
    for job in client.list_jobs():
        if job.state != "deleting":
            client.begin_delete_job(str(job.id), polling_interval=1)
    for pool in client.list_pools():
        if pool.state != "deleting":
            client.begin_delete_pool(str(pool.id), polling_interval=1)


@pytest.fixture
def pool(batch: BatchClient) -> str:
    """A pool with one idle node that runs one task at a time."""
    return a_pool(batch)


@pytest.fixture
def job(batch: BatchClient, pool: str) -> str:
    """An active job without tasks on that pool."""
    return a_job(batch, pool)


@pytest.fixture
def container(blob_service: BlobServiceClient) -> Iterator[ContainerClient]:
    """A container of this test's own."""
    with blob_service.create_container(f"test-{uuid.uuid4().hex}") as client:
        yield client
        client.delete_container()


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A URL whose server accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/never"

"""What a task may put in its folder to stop whoever reads it: FIFOs, sockets, devices, links."""

import os
import subprocess
from collections.abc import Iterator

import pytest
from azure.batch import BatchClient

from tests.support.emulator import builders as kit
from tests.support.emulator.emulators import Emulator, client_of

FIFO = "mkfifo special"
SOCKET = "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"special\")'"
DEVICE = "mknod special c 1 5"
"""A device of zeros without end."""

KINDS = [
    pytest.param(FIFO, id="fifo"),
    pytest.param(f"mkdir d; cd d; {FIFO}; cd ..; ln -s d/special special", id="link to a fifo"),
    pytest.param(SOCKET, id="socket"),
    pytest.param(
        DEVICE,
        id="device",
        marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices"),
    ),
]


@pytest.fixture
def impatient(emulator: Emulator) -> Iterator[BatchClient]:
    """A client that soon gives up on an emulator that does not answer."""
    with client_of(emulator, retry_total=0, read_timeout=5) as client:
        yield client


def made(batch: BatchClient, job: str, script: str) -> str:
    """Run a script that makes a special file; return its task."""
    task = kit.run(batch, job, kit.sh(script))
    assert kit.info_of(task).exit_code == 0
    return str(task.id)


@pytest.mark.parametrize("script", KINDS)
def test_only_regular_files_are_read(
    batch: BatchClient, impatient: BatchClient, job: str, script: str
) -> None:
    """Anything else is not found, neither content nor properties, and everybody is still served."""
    task = made(batch, job, script)

    for ask in (impatient.download_task_file, impatient.get_task_file_properties):
        with kit.no_download(404):
            ask(job, task, "wd/special")

    assert next(iter(impatient.list_supported_images()))


def test_only_regular_files_are_read_of_a_node(
    batch: BatchClient, impatient: BatchClient, pool: str, job: str
) -> None:
    """The files of a node are served like those of a task."""
    made(batch, job, f'cd "$AZ_BATCH_NODE_SHARED_DIR"; {FIFO}')
    node = str(kit.node_of(batch, pool).id)

    with kit.no_download(404):
        impatient.download_node_file(pool, node, "shared/special")


@pytest.mark.parametrize("script", KINDS)
def test_only_regular_files_are_listed(batch: BatchClient, job: str, script: str) -> None:
    """What a list names can be read, or is a folder."""
    task = made(batch, job, f"{script}; touch regular")

    names = {str(file.name) for file in batch.list_task_files(job, task, recursive=True)}

    assert {"wd/regular", "stdout.txt"} <= names
    assert not [name for name in names if name.endswith("special")]


def test_a_fifo_is_deleted(batch: BatchClient, impatient: BatchClient, job: str) -> None:
    """By its own name, and with the folder that it is in."""
    task = made(batch, job, f"{FIFO}; mkdir d; cd d; {FIFO}")

    impatient.delete_task_file(job, task, "wd/special")
    impatient.delete_task_file(job, task, "wd/d", recursive=True)

    left = kit.node_of(batch, str(batch.get_job(job).pool_info.pool_id))
    assert left.state == "idle"
    assert {file.name for file in batch.list_task_files(job, task, recursive=True)} == {
        "stdout.txt",
        "stderr.txt",
        "wd",
    }


def test_whoever_waits_at_a_fifo_is_not_woken(
    batch: BatchClient, impatient: BatchClient, job: str
) -> None:
    """To look at a FIFO is not to open it: its writer still waits for a reader."""
    task = kit.a_task(batch, job, kit.sh(f"{FIFO}; echo written >special; echo woken; sleep 60"))
    kit.reach(batch, job, task, "running")

    with kit.no_download(404):
        impatient.download_task_file(job, task, "wd/special")

    assert kit.read(batch, job, task) == ""


def test_a_file_that_becomes_a_fifo(
    batch: BatchClient, impatient: BatchClient, emulator: Emulator, job: str
) -> None:
    """The kind of a file is checked when it is read, not when it was listed."""
    task = made(batch, job, "touch special")
    assert kit.read(batch, job, task, "wd/special") == ""
    (path,) = emulator.nodes_dir.rglob("special")
    path.unlink()
    subprocess.run(["mkfifo", path], check=True)

    with kit.no_download(404):
        impatient.download_task_file(job, task, "wd/special")

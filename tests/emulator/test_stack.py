"""Both services together, from Python and by `python -m local_azure up`."""

import getpass
import http.client
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from azure.batch import BatchClient
from azure.batch.models import (
    BatchJobCreateOptions,
    BatchPoolCreateOptions,
    BatchPoolInfo,
    BatchTaskCreateOptions,
    EnvironmentSetting,
    VirtualMachineConfiguration,
)
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import BlobServiceClient
from dotenv import dotenv_values

from local_azure.service import LocalAzureError
from local_azure.stack import LocalAzure
from tests.support.processes import Marked, wait_until

UP = [sys.executable, "-m", "local_azure", "up"]
READY = rf"""(?x)ready[ ]batch=http://\S+[ ]blob=http://\S+[ ]-[ ]start[ ]tasks[ ]and[ ]tasks[ ]
of[ ]any[ ]client[ ]run[ ]on[ ]this[ ]machine[ ]as[ ]this[ ]user[ ]\({getpass.getuser()}\)\n"""
Up = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def up(tmp_path: Path, marked: Marked, monkeypatch: pytest.MonkeyPatch) -> Iterator[Up]:
    """Start `up` as a child whose temporary folders are in tmp_path/tmp, and wait for `ready`."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        command = [*before, *UP, *map(str, arguments)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        assert process.stdout
        assert re.fullmatch(READY, process.stdout.readline())
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
    wait_until(marked.none)


def kill(marked: Marked, service: str) -> None:
    """Kill a service itself, not its warden."""
    (pid,) = marked.pids(service)
    os.kill(pid, signal.SIGKILL)


def client_of(env: Mapping[str, str | None]) -> BatchClient:
    """Return the SDK's client of the Batch account that an environment names."""
    key = AzureNamedKeyCredential(
        str(env["AZURE_BATCH_ACCOUNT"]), str(env["AZURE_BATCH_ACCESS_KEY"])
    )
    return BatchClient(str(env["AZURE_BATCH_ENDPOINT"]), key)


def run_task(env: Mapping[str, str | None], command_line: str) -> None:
    """Add a batch task that carries this test's mark, on a pool and a job of its own."""
    mark = EnvironmentSetting(name=Marked.VARIABLE, value=os.environ[Marked.VARIABLE])
    with client_of(env) as client:
        image = next(iter(client.list_supported_images()))
        machine = VirtualMachineConfiguration(
            image_reference=image.image_reference, node_agent_sku_id=image.node_agent_sku_id
        )
        client.create_pool(
            BatchPoolCreateOptions(
                id="pool",
                vm_size="standard_a1_v2",
                virtual_machine_configuration=machine,
                target_dedicated_nodes=1,
            )
        )
        client.create_job(BatchJobCreateOptions(id="job", pool_info=BatchPoolInfo(pool_id="pool")))
        task = BatchTaskCreateOptions(
            id="task", command_line=command_line, environment_settings=[mark]
        )
        client.create_task("job", task)


def test_environment_has_the_names_the_clients_read(local_azure: LocalAzure) -> None:
    """The environment holds these four variables and no more."""
    assert list(local_azure.environment) == [
        "AZURE_BATCH_ACCOUNT",
        "AZURE_BATCH_ACCESS_KEY",
        "AZURE_BATCH_ENDPOINT",
        "AZURE_STORAGE_CONNECTION_STRING",
    ]


def test_batch_answers_the_sdk(batch_client: BatchClient) -> None:
    """The Batch emulator accepts the key that the environment names."""
    assert next(iter(batch_client.list_supported_images())).node_agent_sku_id


def test_blobs_answer_the_sdk(blob_service: BlobServiceClient) -> None:
    """Azurite accepts the connection string of the environment."""
    assert blob_service.get_account_information()["sku_name"]


def test_addresses_of_services_that_do_not_run() -> None:
    """To ask for addresses before the start is an error that says so."""
    with pytest.raises(LocalAzureError, match="start"):
        _ = LocalAzure().environment


def test_stop_leaves_nothing(
    marked: Marked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the end of the with block there is no process and no temporary folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with LocalAzure() as stack:
        seen = (stack.failure, len(list(tmp_path.iterdir())))

    assert seen == (None, 2)
    assert (marked.pids(), list(tmp_path.iterdir())) == ([], [])


@pytest.mark.parametrize("service", ["main.js", "local_azure.batch"])
def test_a_dead_service_is_a_failure(marked: Marked, service: str) -> None:
    """When either service is killed, the stack says which and how."""
    with LocalAzure() as stack:
        kill(marked, service)
        wait_until(lambda: stack.failure)
        failure = stack.failure

    assert "ended with exit code 137" in str(failure)


def test_failed_start_leaves_nothing(marked: Marked, tmp_path: Path) -> None:
    """When the second service cannot be started, the first one is ended."""
    (tmp_path / "nodes").write_text("not a folder")

    with pytest.raises(FileExistsError), LocalAzure(tmp_path):
        pass

    assert marked.none()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_up_ends_in_order(up: Up, marked: Marked, tmp_path: Path, number: signal.Signals) -> None:
    """`up` ends with exit code 0 and leaves no process, temporary folder or environment file."""
    process = up("--env-file", tmp_path / "env")

    process.send_signal(number)

    assert (process.wait(20), marked.pids()) == (0, [])
    assert [path.name for path in tmp_path.rglob("*")] == ["tmp"]


def test_up_ends_by_sigint_in_the_background(up: Up) -> None:
    """SIGINT ends `up` although a shell starts background jobs with SIGINT ignored."""
    process = up(before=("/bin/sh", "-c", "trap '' INT; exec \"$@\"", "sh"))

    process.send_signal(signal.SIGINT)

    assert process.wait(20) == 0


def test_sigkill_of_up_leaves_nothing(up: Up, marked: Marked, tmp_path: Path) -> None:
    """SIGKILL of `up` leaves no process and no temporary folder."""
    process = up()

    process.kill()

    wait_until(marked.none)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_sigkill_of_up_ends_a_detached_process_of_a_batch_task(
    up: Up, marked: Marked, tmp_path: Path
) -> None:
    """SIGKILL of `up` leaves no batch task, not even one that forked twice and called setsid."""
    process = up("--env-file", tmp_path / "env")
    run_task(dotenv_values(tmp_path / "env"), "/bin/sh -c 'setsid --fork sleep 987; sleep 654'")
    wait_until(lambda: marked.pids("sleep 987") and marked.pids("sleep 654"))

    process.kill()

    wait_until(marked.none)


def test_env_file_is_for_a_shell_and_private(
    up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment file can be sourced, and only its owner can read it."""
    up("--env-file", tmp_path / "env")
    monkeypatch.chdir(tmp_path)

    sourced = subprocess.check_output(["/bin/sh", "-c", ". ./env; env"], text=True)

    assert re.search(r"(?m)^AZURE_STORAGE_CONNECTION_STRING=.*BlobEndpoint=http\S+;$", sourced)
    assert stat.S_IMODE((tmp_path / "env").stat().st_mode) == 0o600


def test_env_file_of_somebody_else_is_left(up: Up, tmp_path: Path) -> None:
    """An environment file that was replaced meanwhile is not removed."""
    process = up("--env-file", tmp_path / "env")
    (tmp_path / "env").write_text("export OTHER=1\n")

    process.terminate()
    process.wait(20)

    assert (tmp_path / "env").read_text() == "export OTHER=1\n"


def test_env_file_that_cannot_be_written(tmp_path: Path, marked: Marked) -> None:
    """A folder that does not exist is named in the error, and nothing goes on running."""
    done = subprocess.run(
        [*UP, "--env-file", tmp_path / "none" / "env"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, marked.pids()) == (1, [])
    assert re.match(rf"error: .*{tmp_path}/none", done.stderr)


def test_up_fails_when_a_service_dies(up: Up, marked: Marked) -> None:
    """When a service dies `up` ends the other and exits with 1 and the reason."""
    process = up()

    kill(marked, "main.js")
    _, stderr = process.communicate(timeout=20)

    assert (process.returncode, marked.pids()) == (1, [])
    assert stderr.startswith("error: Azurite ended with exit code 137")


def test_data_dir_keeps_the_batch_account(tmp_path: Path) -> None:
    """With a data folder, what the Batch account held is there again after a restart."""
    folder = tmp_path / "data"
    with LocalAzure(folder) as stack, client_of(stack.environment) as client:
        client.create_job(BatchJobCreateOptions(id="kept", pool_info=BatchPoolInfo(pool_id="p")))

    with LocalAzure(folder) as stack, client_of(stack.environment) as client:
        assert [job.id for job in client.list_jobs()] == ["kept"]

    assert {"blobs", "nodes", "batch.sqlite"} < {path.name for path in folder.iterdir()}


def mode_of(path: Path) -> int:
    """Return the permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def refused(folder: Path) -> str:
    """Start `up` on a data folder that it refuses; return what it says."""
    done = subprocess.run([*UP, "--data-dir", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stderr


def test_a_new_data_dir_is_private(tmp_path: Path, up: Up) -> None:
    """It is made 0700, whatever the umask allows: it holds keys and live SAS."""
    up(
        "--data-dir",
        tmp_path / "deep" / "data",
        before=("/bin/sh", "-c", 'umask 0; exec "$@"', "sh"),
    )

    assert mode_of(tmp_path / "deep" / "data") == 0o700


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o710, 0o701])
def test_an_empty_data_dir_is_narrowed(tmp_path: Path, mode: int) -> None:
    """A folder that others can look into becomes 0700."""
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(mode)

    with LocalAzure(folder):
        assert mode_of(folder) == 0o700


def test_a_former_data_dir_is_narrowed(tmp_path: Path) -> None:
    """So does one that a former emulator has left; what it holds is kept."""
    folder = tmp_path / "data"
    with LocalAzure(folder) as stack, client_of(stack.environment) as client:
        client.create_job(BatchJobCreateOptions(id="kept", pool_info=BatchPoolInfo(pool_id="p")))
    folder.chmod(0o755)

    with LocalAzure(folder) as stack, client_of(stack.environment) as client:
        assert [job.id for job in client.list_jobs()] == ["kept"]
        assert mode_of(folder) == 0o700


def test_somebody_elses_folder_is_refused(tmp_path: Path, marked: Marked) -> None:
    """A folder for other things keeps its mode, and the error says what to do."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "letters").touch()
    folder.chmod(0o755)

    said = refused(folder)

    assert re.search(r"home is open to others \(mode 0755\).*'letters'.*chmod 700", said)
    assert (mode_of(folder), [path.name for path in folder.iterdir()]) == (0o755, ["letters"])
    assert marked.none()


def test_a_temporary_folder_of_all_is_refused(tmp_path: Path) -> None:
    """A folder like /tmp is nobody's own, even if it is empty."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)

    assert "is open to others" in refused(folder)
    assert mode_of(folder) == 0o1777


def test_a_data_dir_that_is_a_file(tmp_path: Path) -> None:
    """It is named."""
    (tmp_path / "file").touch()

    assert f"error: {tmp_path}/file is not a folder" in refused(tmp_path / "file")


def test_temporary_folders_are_private(tmp_path: Path, up: Up) -> None:
    """Without a data folder everything is in folders that only their owner can look into."""
    up(before=("/bin/sh", "-c", 'umask 0; exec "$@"', "sh"))

    assert {mode_of(path) for path in (tmp_path / "tmp").iterdir()} == {0o700}


def test_up_answers_to_further_names(tmp_path: Path, up: Up) -> None:
    """A client in a container reaches both services by the names that were given."""
    names = ("--allow-host", "azure-batch", "--allow-host", "host.docker.internal")
    up("--env-file", tmp_path / "env", *names)
    env = dotenv_values(tmp_path / "env")
    blob_url = re.search("BlobEndpoint=(.*?);", str(env["AZURE_STORAGE_CONNECTION_STRING"]))
    assert blob_url

    for url in (str(env["AZURE_BATCH_ENDPOINT"]), blob_url[1]):
        bodies = {name: body_of(url, name) for name in ("host.docker.internal", "foreign")}
        assert "--allow-host" in bodies["foreign"]
        assert "--allow-host" not in bodies["host.docker.internal"]


def body_of(url: str, host: str) -> str:
    """Return what answers an unsigned request that names a host."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request("GET", f"{parts.path}/x", headers={"Host": host})
    body = connection.getresponse().read().decode()
    connection.close()
    return body

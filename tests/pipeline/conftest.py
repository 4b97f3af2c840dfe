"""Fixtures of the pipeline's tests: Prefect's server, the accounts, and a look for leftovers."""

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pytest
from azure.batch import BatchClient
from azure.storage.blob import BlobServiceClient
from prefect.settings import (
    PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW,
    PREFECT_SERVER_ANALYTICS_ENABLED,
    PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED,
    temporary_settings,
)
from prefect.testing.utilities import prefect_test_harness

from blocks import AzureBatchCredentials, AzureStorageCredentials
from local_azure.client import Control
from local_azure.stack import LocalAzure
from prefect_azure_batch.model.run import Run, new_run, run_id_of
from prefect_azure_batch.ownership.deletion import KindsToDelete, delete_leftovers
from prefect_azure_batch.ownership.heartbeat_blob import RunState, look_at_heartbeat
from prefect_azure_batch.running.job import create_job
from prefect_azure_batch.running.pool import check_image, create_pool
from prefect_azure_batch.service import step
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import RunContext
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings
from prefect_azure_batch.staging.containers import create_containers, upload_files
from tests.support.contexts import a_context
from tests.support.paths import PROJECT
from tests.support.pipeline.bad_answers import Spoil, answering_badly
from tests.support.pipeline.estates import Left, MakeLeft, lefts
from tests.support.pipeline.prefect_server import PrefectServer, stop
from tests.support.processes import Marked


@pytest.fixture(scope="session")
def prefect_harness() -> Iterator[None]:
    """Prefect's server inside this process's tree, with a database of its own."""
    # Steps are also called outside of a flow here, where their logs have no run to go to.
    settings = {
        PREFECT_SERVER_ANALYTICS_ENABLED: False,
        # Without automations, it takes a tenth of a core for nothing.
        PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED: False,
        PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW: "ignore",
    }
    with temporary_settings(settings), prefect_test_harness(server_startup_timeout=90):
        yield


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A Prefect server of its own process, for workers and the prefect command."""
    with PrefectServer(tmp_path_factory.mktemp("prefect"), PROJECT) as server:
        yield server


@pytest.fixture(scope="session")
def deployed(
    prefect_server: PrefectServer, local_azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrefectServer]:
    """The server with saved blocks, all deployments, and a worker that runs somewhere else."""
    folder = tmp_path_factory.mktemp("worker")
    env_file = folder / "local.env"
    lines = (f"export {name}={value!r}\n" for name, value in local_azure.environment.items())
    env_file.write_text("".join(lines))
    for name in ("local", "azure"):
        prefect_server.run("python", "-m", "blocks", "save", name, "--env-file", str(env_file))
    prefect_server.run("prefect", "work-pool", "create", "top-words", "--type", "process")
    prefect_server.run("prefect", "--no-prompt", "deploy", "--all")
    for name in ("local", "azure"):
        _stop_schedule(prefect_server, f"janitor/{name}")
    worker = prefect_server.start(
        *("prefect", "worker", "start", "--pool", "top-words"),
        log=folder / "worker.log",
        folder=folder,
    )
    yield prefect_server
    stop(worker)


def _stop_schedule(server: PrefectServer, name: str) -> None:
    """Let a deployment run only when it is asked to: tests have dead runs that they resume."""
    deployment = server.get(f"/deployments/name/{name}")
    for schedule in deployment["schedules"]:
        path = f"/deployments/{deployment['id']}/schedules/{schedule['id']}"
        server.patch(path, {"active": False})


@pytest.fixture
def accounts(
    local_azure: LocalAzure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> LocalAzure:
    """The environment of the laptop's accounts, in a working directory without `.env`."""
    for name, value in local_azure.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return local_azure


@pytest.fixture
def spoil(accounts: LocalAzure, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spoil]:
    """Give what has answers of the services spoiled; the environment names the proxies instead."""
    monkeypatch.setattr(step, "OUTAGE_POLL_S", 0.2)
    with answering_badly(dict(accounts.environment)) as (begin, environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield begin


@pytest.fixture
def services(batch_client: BatchClient, blob_service: BlobServiceClient) -> Services:
    """The clients as the steps take them."""
    return Services(batch_client, blob_service)


@pytest.fixture(scope="session")
def controlled_azure() -> Iterator[LocalAzure]:
    """Another pair of services, whose emulator has control endpoints, for faults."""
    with LocalAzure(control=True) as stack:
        yield stack


@pytest.fixture
def control(controlled_azure: LocalAzure) -> Iterator[Control]:
    """The control endpoints of that pair; afterwards it goes by its usual rules, and is empty."""
    control = Control(controlled_azure.batch_url)
    yield control
    control.reset()


@pytest.fixture
def controlled_services(controlled_azure: LocalAzure, control: Control) -> Iterator[Services]:
    """The clients of that pair, as the blocks make them; afterwards no container is left."""
    environment = dict(controlled_azure.environment)
    with (
        AzureBatchCredentials.from_environment(environment).get_client() as batch,
        AzureStorageCredentials.from_environment(environment).get_client() as blobs,
    ):
        yield Services(batch, blobs)
        control.clear_faults()
        for container in blobs.list_containers():
            blobs.delete_container(str(container.name))


@pytest.fixture
def make_run(services: Services) -> Callable[[], Run]:
    """Make a run with three containers, a pool without nodes' work, and an empty job."""

    def make() -> Run:
        pool = PoolSettings()
        run = new_run(uuid4(), 1, JobSettings(), CleanUpPolicy())
        context = a_context(services, run, pool=pool, node_agent=check_image(services, pool))
        create_containers(context)
        upload_files(context)
        create_pool(context)
        create_job(context)
        return run

    return make


@pytest.fixture
def make_left(services: Services) -> Iterator[MakeLeft]:
    """Make runs whose process did not get to their end."""
    with lefts(services) as make:
        yield make


@pytest.fixture
def dead(make_left: MakeLeft) -> Left:
    """A run that has been silent for its limit."""
    left = make_left()
    left.fall_silent()
    return left


@pytest.fixture
def nothing_left(accounts: LocalAzure, services: Services) -> Iterator[None]:
    """Check after the test that no pool, job, container or process of a batch task is left."""
    yield
    assert leftovers(services) == []
    assert node_processes(accounts) == []


@pytest.fixture
def only_evidence_left(accounts: LocalAzure, services: Services) -> Iterator[None]:
    """Check after the test that one failed run left exactly its evidence; delete it.

    Its heartbeat says that they are kept, and until when.
    """
    yield
    check_evidence(accounts, services)


def check_evidence(azure: LocalAzure, services: Services) -> None:
    """Check that exactly the containers of one failed run are left, and its job; delete them.

    The job must have ended; it may also never have begun.
    """
    found = [str(item.name) for item in services.blobs.list_containers()]
    run = new_run(run_id_of(found[0].rpartition("-")[0]), 0, JobSettings(), CleanUpPolicy())
    seen = look_at_heartbeat(services.blobs, run)
    assert seen
    run = run.in_attempt(seen.beat.attempt)
    jobs = list(services.batch.list_jobs())
    assert {job.id for job in jobs} <= {run.job_id}
    assert {job.state for job in jobs} <= {"completed"}
    containers = [f"container {name}" for name in run.containers]
    assert leftovers(services) == [*(f"job {job.id}" for job in jobs), *sorted(containers)]
    assert node_processes(azure) == []
    assert seen.beat.state is RunState.KEPT
    assert seen.beat.until
    assert seen.seen < seen.beat.until <= marked_waste(services, run)
    delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60)


def marked_waste(services: Services, run: Run) -> datetime:
    """Return after what time the marks of a run say that it is waste."""
    container = services.blobs.get_container_client(run.application_container)
    return datetime.fromisoformat(container.get_container_properties().metadata["delete_after"])


def leftovers(services: Services) -> list[str]:
    """Return every pool, job and container of both accounts."""
    return [
        *(f"pool {pool.id}" for pool in services.batch.list_pools()),
        *(f"job {job.id}" for job in services.batch.list_jobs()),
        *(f"container {container.name}" for container in services.blobs.list_containers()),
    ]


def node_processes(azure: LocalAzure) -> list[str]:
    """Return the command lines of all processes that nodes of this account have (Linux)."""
    mark = f"AZ_BATCH_ACCOUNT_URL={azure.batch_url}".encode()
    return [
        _read(process / "cmdline").decode()
        for process in Path("/proc").glob("[0-9]*")
        if mark in _read(process / "environ")
    ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def mark_for_children(marked: Marked) -> dict[str, str]:
    """Return the variable by which a process that a test starts, and its children, are found."""
    return {marked.VARIABLE: os.environ[marked.VARIABLE]}

"""The one place of `top-words/azure`: a run that died with its worker gives it back."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from local_azure.stack import LocalAzure
from prefect_azure_batch.janitor import janitor
from prefect_azure_batch.service.clients import Services
from tests.pipeline.conftest import mark_for_children
from tests.support.paths import PROJECT
from tests.support.pipeline.prefect_server import PrefectServer, wait_for
from tests.support.processes import Marked, wait_until

if TYPE_CHECKING:
    from subprocess import Popen

pytestmark = pytest.mark.usefixtures("accounts", "nothing_left")

LIMIT_S = 3
# The shortest that Prefect takes; 300 without the setting.
LEASE_S = 30
SETTINGS = {
    "PREFECT_SERVER_CONCURRENCY_INITIAL_DEPLOYMENT_LEASE_DURATION": str(LEASE_S),
    # As `make server` has it: leases outlive the server's process.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
        "prefect.server.concurrency.lease_storage.filesystem"
    ),
    "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "1",
    "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "1",
}


class Limited:
    """The deployment on a server of its own, and workers that can be killed.

    Args:
        server: Prefect's, where the deployment is.
        marked: finds the worker's processes.
        folder: for logs and outputs.
    """

    def __init__(self, server: PrefectServer, marked: Marked, folder: Path) -> None:
        self.server = server
        self._marked = marked
        self._folder = folder
        self._workers: list[Popen[bytes]] = []

    def make_run(self, *, works: bool) -> str:
        """Make a run; its batch task takes long, or not. Returns the flow run's id."""
        body = {
            "state": {"type": "SCHEDULED"},
            "parameters": {
                "inputs": [str(PROJECT / "data/taskdata1.txt")],
                "output_dir": str(self._folder / "results"),
                "job": {"delay_s": 600 if works else 0},
                "clean_up": {"heartbeat_limit_s": LIMIT_S},
            },
        }
        deployment = self.server.get("/deployments/name/top-words/azure")
        run = self.server.post(f"/deployments/{deployment['id']}/create_flow_run", body)
        return str(run["id"])

    def state(self, run_id: str) -> str:
        """Return the name of a flow run's state."""
        return str(self.server.get(f"/flow_runs/{run_id}")["state"]["name"])

    def places_taken(self) -> int:
        """Return how many places of the limit are taken, by Prefect's count."""
        deployment = self.server.get("/deployments/name/top-words/azure")
        return int(deployment["global_concurrency_limit"]["active_slots"])

    def start_worker(self) -> None:
        """Start a worker that bears the mark, and so do its flow runs."""
        worker = self.server.start(
            *("prefect", "worker", "start", "--pool", "top-words"),
            log=self._folder / "worker.log",
            extra=mark_for_children(self._marked),
            folder=self._folder,
        )
        self._workers.append(worker)

    def kill(self) -> None:
        """Kill (-9) all workers and the processes of their flow runs."""
        for pid in self._marked.pids():
            os.kill(pid, signal.SIGKILL)
        for worker in self._workers:
            worker.wait()
        wait_until(self._marked.none)


@pytest.fixture(scope="module")
def limiting_server(
    local_azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrefectServer]:
    """A server with the deployment and its blocks, and without a worker."""
    home = tmp_path_factory.mktemp("limited")
    env_file = home / "azure.env"
    lines = (f"export {name}={value!r}\n" for name, value in local_azure.environment.items())
    env_file.write_text("".join(lines))
    server = PrefectServer(home, PROJECT)
    server.environment.update(SETTINGS)
    with server:
        server.run("python", "-m", "blocks", "save", "azure", "--env-file", str(env_file))
        server.run("prefect", "work-pool", "create", "top-words", "--type", "process")
        server.run("prefect", "--no-prompt", "deploy", "-n", "top-words/azure")
        yield server


@pytest.fixture
def limited(limiting_server: PrefectServer, marked: Marked, tmp_path: Path) -> Iterator[Limited]:
    """The deployment; afterwards no worker is left."""
    limited = Limited(limiting_server, marked, tmp_path)
    yield limited
    limited.kill()


def test_janitor_frees_the_place(limited: Limited, services: Services) -> None:
    """A run that died at work holds up the next one only until the janitor has found it."""
    dead = limited.make_run(works=True)
    limited.start_worker()
    wait_for(lambda: list(services.batch.list_jobs()), timeout_s=90)
    waiting = limited.make_run(works=False)
    wait_for(lambda: limited.state(waiting) == "AwaitingConcurrencySlot", timeout_s=30)
    limited.kill()

    with temporary_settings({PREFECT_API_URL: limited.server.url}):
        janitor(run=dead)

    assert limited.state(dead) == "Crashed"
    limited.start_worker()
    wait_for(lambda: limited.state(waiting) == "Completed", timeout_s=90)
    wait_until(lambda: limited.places_taken() == 0)


def test_place_of_a_run_that_never_began_is_free_after_the_lease(limited: Limited) -> None:
    """A run whose worker died before the flow began has nothing that a janitor could find.

    Its place is free when Prefect's lease is over, though the server was restarted meanwhile.
    """
    dead = limited.make_run(works=False)
    limited.start_worker()
    wait_for(lambda: limited.places_taken() == 1, timeout_s=60)
    limited.kill()
    assert limited.server.get(f"/flow_runs/{dead}")["state"]["type"] == "PENDING"

    limited.server.restart()

    wait_until(lambda: limited.places_taken() == 0, LEASE_S + 15)

"""How runs end that do not end by themselves; of a crash its evidence is left, else nothing."""

import os
import re
import signal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from local_azure.batch.controls.faults import Kind, Rule
from local_azure.client import Control
from local_azure.stack import LocalAzure
from prefect_azure_batch.model.run import new_run
from prefect_azure_batch.ownership.deletion import KindsToDelete, delete_leftovers
from prefect_azure_batch.ownership.inventory import take_inventory
from prefect_azure_batch.ownership.liveness import LifeState
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import RunContext
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings
from tests.pipeline.conftest import leftovers, mark_for_children, node_processes
from tests.support.pipeline.phases import flow_process
from tests.support.pipeline.prefect_server import PrefectServer, stop, wait_for
from tests.support.processes import Marked

PARAMETERS = {"inputs": ["data/taskdata1.txt"], "job": {"delay_s": 600}}
SLEEPING = "import time; time.sleep(600)"

ends_clean = pytest.mark.usefixtures("nothing_left")
crashes = pytest.mark.usefixtures("only_evidence_left")


def start_run(
    server: PrefectServer, azure: LocalAzure, output_dir: Path, flow: str = "top-words"
) -> str:
    """Start a run that would take ten minutes; return its id once a batch task runs."""
    deployment = server.get(f"/deployments/name/{flow}/local")
    given: dict[str, Any] = PARAMETERS
    if flow == "batch-map":
        program = output_dir / "sleeping.py"
        program.write_text(SLEEPING)
        given = {"inputs": PARAMETERS["inputs"], "command": str(program)}
    parameters = deployment["parameters"] | given | {"output_dir": str(output_dir)}
    body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
    run = server.post(f"/deployments/{deployment['id']}/create_flow_run", body)
    wait_for(lambda: node_processes(azure), timeout_s=60)
    return str(run["id"])


def end_state(server: PrefectServer, run_id: str) -> str:
    """Return the type of a run's state if that is its last, else nothing."""
    state = server.get(f"/flow_runs/{run_id}")["state_type"]
    return state if state in {"CANCELLED", "COMPLETED", "CRASHED", "FAILED"} else ""


def words(services: Services) -> list[LifeState]:
    """Return what the janitor thinks of the runs that are there."""
    return [found.liveness.state for found in take_inventory.fn(services).runs]


@ends_clean
def test_cancelled_from_the_api(
    deployed: PrefectServer, accounts: LocalAzure, services: Services, tmp_path: Path
) -> None:
    """A run that is cancelled by its id deletes everything."""
    run_id = start_run(deployed, accounts, tmp_path)

    deployed.run("prefect", "flow-run", "cancel", run_id)

    assert wait_for(lambda: end_state(deployed, run_id), timeout_s=60) == "CANCELLED"
    wait_for(lambda: not leftovers(services), timeout_s=60)


@crashes
@pytest.mark.parametrize("flow", ["top-words", "batch-map"])
def test_killed_flow_process(
    deployed: PrefectServer, accounts: LocalAzure, services: Services, tmp_path: Path, flow: str
) -> None:
    """If the flow's process is killed (kill -9), the worker runs the clean-up of a failed run."""
    run_id = start_run(deployed, accounts, tmp_path, flow)

    os.kill(flow_process(run_id), signal.SIGKILL)

    assert wait_for(lambda: end_state(deployed, run_id), timeout_s=60) == "CRASHED"
    wait_for(lambda: words(services) == [LifeState.KEPT], timeout_s=60)
    assert len(leftovers(services)) == 4


@ends_clean
@pytest.mark.parametrize(
    ("signal_number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)]
)
def test_signal_to_a_script(  # noqa: PLR0913, PLR0917 - fixtures
    prefect_server: PrefectServer,
    accounts: LocalAzure,
    marked: Marked,
    tmp_path: Path,
    signal_number: signal.Signals,
    exit_code: int,
) -> None:
    """A script that gets Ctrl-C or SIGTERM deletes everything before it ends."""
    script = prefect_server.start(
        *("python", "flows/top_words.py", "data/taskdata1.txt", "--delay", "600"),
        *("--output-dir", str(tmp_path)),
        log=tmp_path / "log",
        extra=mark_for_children(marked) | dict(accounts.environment),
    )
    wait_for(lambda: node_processes(accounts), timeout_s=60)

    script.send_signal(signal_number)

    assert script.wait(timeout=60) == exit_code
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert marked.none()


@ends_clean
@pytest.mark.parametrize(
    "server", [{}, {"PREFECT_API_URL": ""}], ids=["a server that runs", "one of its own"]
)
def test_ctrl_c_at_the_terminal(
    prefect_server: PrefectServer, marked: Marked, tmp_path: Path, server: dict[str, str]
) -> None:
    """Ctrl-C reaches the whole group of `--local`: its services live until all is deleted."""
    log = tmp_path / "log"
    script = prefect_server.start(
        *("python", "flows/top_words.py", "--local", "data/taskdata1.txt", "--delay", "600"),
        *("--output-dir", str(tmp_path)),
        log=log,
        extra=mark_for_children(marked) | server,
    )
    try:
        wait_for(lambda: script.poll() is not None or "1 running" in log.read_text(), timeout_s=60)
        assert script.poll() is None, log.read_text()
        os.killpg(script.pid, signal.SIGINT)
        assert script.wait(timeout=60) == 130
    finally:
        stop(script)
    text = log.read_text()
    assert "stopped by Ctrl-C" in text
    assert "deleted job" in text
    wait_for(marked.none, timeout_s=10)


def wait_for_deletions(control: Control) -> None:
    """Wait until two more deletions have been refused."""

    def refused() -> int:
        """Return how many were."""
        return sum(rule["hits"] for rule in control.faults())

    before = refused()
    wait_for(lambda: refused() >= before + 2, timeout_s=90)


def test_ctrl_c_again_says_what_is_left(  # noqa: PLR0913, PLR0917 - fixtures
    prefect_server: PrefectServer,
    controlled_azure: LocalAzure,
    controlled_services: Services,
    control: Control,
    marked: Marked,
    tmp_path: Path,
) -> None:
    """The first one does not end a good run's clean-up; who insists reads what is left."""
    log = tmp_path / "log"
    environment = mark_for_children(marked) | dict(controlled_azure.environment)
    control.add_fault(Rule(kind=Kind.ERROR, operation="delete_*"))
    script = prefect_server.start(
        *("python", "flows/top_words.py", "data/taskdata1.txt", "--output-dir", str(tmp_path)),
        log=log,
        extra=environment,
    )
    try:
        for _ in range(2):
            # Each of them in a turn of its own of the clean-up.
            wait_for_deletions(control)
            assert script.poll() is None, log.read_text()
            script.send_signal(signal.SIGINT)
        wait_for(lambda: "Ctrl-C once more ends it" in log.read_text(), timeout_s=60)
        wait_for_deletions(control)
        assert script.poll() is None, log.read_text()
        script.send_signal(signal.SIGINT)
        assert script.wait(timeout=60) == 130, log.read_text()
    finally:
        stop(script)
    left = re.search(
        r"stopped by Ctrl-C\nthe clean-up was stopped, and this may be left: pool (tw-\w+)-1, job "
        r"\1-1, containers \1-\*; batch-map janitor --run \1 deletes it as soon as the heartbeat "
        r"is 600 s old\n",
        log.read_text(),
    )
    assert left, log.read_text()

    control.clear_faults()
    run = new_run(UUID(left[1].removeprefix("tw-")), 1, JobSettings(), CleanUpPolicy())
    delete_leftovers(RunContext.of(controlled_services, run), KindsToDelete(), timeout_s=60)
    assert leftovers(controlled_services) == []

"""The time that a cancelled run has: its process is killed 30 s after it was asked to end."""

import time
from pathlib import Path

import pytest

from local_azure.batch.controls.faults import Kind, Rule
from local_azure.client import Control
from local_azure.stack import LocalAzure
from prefect_azure_batch.service.clients import Services
from tests.pipeline.clean_up.test_endings import PARAMETERS, end_state
from tests.pipeline.conftest import leftovers
from tests.support.pipeline.prefect_server import PrefectServer, wait_for

BLOCK = "slow"
GRACE_S = 30
# Every call to Batch takes so long.
LATENCY_S = 6.0
DELETIONS = ("delete_job", "delete_pool")


def start_run(server: PrefectServer, azure: LocalAzure, folder: Path) -> str:
    """Let the worker have a run of ten minutes on other accounts; return its id."""
    env_file = folder / "slow.env"
    lines = (f"export {name}={value!r}\n" for name, value in azure.environment.items())
    env_file.write_text("".join(lines))
    server.run("python", "-m", "blocks", "save", BLOCK, "--env-file", str(env_file))
    deployment = server.get("/deployments/name/top-words/local")
    names = {"batch_credentials": BLOCK, "storage_credentials": BLOCK}
    parameters = {**deployment["parameters"], **PARAMETERS, **names, "output_dir": str(folder)}
    body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
    return str(server.post(f"/deployments/{deployment['id']}/create_flow_run", body)["id"])


def has_asked_for_all(control: Control, services: Services) -> bool:
    """Tell whether calls to delete job and pool have come, and no container is there."""
    asked = {fault["rule"]["operation"] for fault in control.faults() if fault["hits"]}
    return asked.issuperset(DELETIONS) and not list(services.blobs.list_containers())


# Setting up a server, deployments and a worker counts too.
@pytest.mark.timeout(400)
def test_all_deletions_are_started_in_time(
    deployed: PrefectServer,
    controlled_azure: LocalAzure,
    control: Control,
    controlled_services: Services,
    tmp_path: Path,
) -> None:
    """A run that is cancelled while Batch is slow has begun each deletion before it is killed."""
    run_id = start_run(deployed, controlled_azure, tmp_path)
    wait_for(lambda: any(t["state"] == "running" for t in control.state()["tasks"]), timeout_s=90)
    control.add_fault(Rule(kind=Kind.LATENCY, seconds=LATENCY_S))
    for operation in DELETIONS:
        # These only count.
        control.add_fault(Rule(kind=Kind.LATENCY, operation=operation))

    began = time.monotonic()
    deployed.post(f"/flow_runs/{run_id}/set_state", {"state": {"type": "CANCELLING"}})
    wait_for(lambda: has_asked_for_all(control, controlled_services), timeout_s=90)
    took_s = time.monotonic() - began
    control.clear_faults()

    assert wait_for(lambda: end_state(deployed, run_id), timeout_s=90) == "CANCELLED"
    assert leftovers(controlled_services) == []
    assert took_s < GRACE_S, took_s

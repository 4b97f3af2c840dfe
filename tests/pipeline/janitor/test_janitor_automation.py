"""The janitor as it is deployed: Prefect's crash detection starts it for the run that crashed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from local_azure.stack import LocalAzure
from prefect_azure_batch.model.run import new_run
from prefect_azure_batch.ownership.heartbeat_blob import look_at_heartbeat
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings
from tests.pipeline.conftest import leftovers, mark_for_children
from tests.support.paths import PROJECT
from tests.support.pipeline.prefect_server import PrefectServer, stop, wait_for
from tests.support.processes import Marked

pytestmark = pytest.mark.usefixtures("nothing_left")

SCRIPT = """
import json, sys
from flows.top_words import top_words
top_words(**json.loads(sys.argv[1]))
"""
LIMIT_S = 3


@pytest.fixture
def killed(
    deployed: PrefectServer,
    accounts: LocalAzure,
    services: Services,
    marked: Marked,
    tmp_path: Path,
) -> Iterator[UUID]:
    """The flow run of a script that was killed (kill -9) at work; Prefect shows it as running."""
    parameters = {
        "inputs": [str(PROJECT / "data/taskdata1.txt")],
        "output_dir": str(tmp_path),
        "job": {"delay_s": 600},
        "clean_up": {"heartbeat_limit_s": LIMIT_S},
    }
    script = deployed.start(
        *("python", "-c", SCRIPT, json.dumps(parameters)),
        log=tmp_path / "log",
        extra=mark_for_children(marked) | {"PYTHONPATH": str(PROJECT)} | dict(accounts.environment),
    )
    wait_for(lambda: list(services.batch.list_jobs()), timeout_s=60)
    script.kill()
    script.wait()
    job = next(iter(services.batch.list_jobs()))
    yield UUID(str(job.id).split("-")[1])
    stop(script)


def janitor_runs(server: PrefectServer) -> list[Any]:
    """Return the runs of the janitor's deployment that the automation made."""
    deployment = server.get("/deployments/name/janitor/azure")
    runs = server.post(
        "/flow_runs/filter", {"deployments": {"id": {"any_": [deployment["id"]]}}, "limit": 200}
    )
    return [run for run in runs if not run["auto_scheduled"]]


def test_crash_is_cleaned_up(deployed: PrefectServer, killed: UUID, services: Services) -> None:
    """A run that Prefect finds crashed is deleted once its heartbeat is past its limit."""
    run = new_run(killed, 1, JobSettings(), CleanUpPolicy())
    assert look_at_heartbeat(services.blobs, run)

    deployed.post(
        f"/flow_runs/{killed}/set_state", {"state": {"type": "CRASHED", "name": "Crashed"}}
    )

    wait_for(lambda: not leftovers(services), timeout_s=120)
    meant = [item["parameters"]["run"] for item in janitor_runs(deployed)]
    assert str(killed) in meant


def test_janitor_is_scheduled(deployed: PrefectServer) -> None:
    """The deployment runs by itself, with no limit that a dead run could hold."""
    deployment = deployed.get("/deployments/name/janitor/azure")

    assert [item["slug"] for item in deployment["schedules"]] == ["every-10-minutes"]
    assert deployment["concurrency_limit"] is None
    assert deployment["global_concurrency_limit"] is None

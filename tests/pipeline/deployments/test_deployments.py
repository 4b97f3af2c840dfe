"""The deployments of prefect.yaml, on a real Prefect server with a real worker."""

import json
from pathlib import Path
from typing import Any

import pytest

from local_azure.stack import LocalAzure
from tests.support.paths import PROJECT
from tests.support.pipeline.prefect_server import PrefectServer, wait_for

pytestmark = pytest.mark.usefixtures("nothing_left")


def read_deployment(server: PrefectServer, name: str) -> Any:
    """Return a deployment of the flow."""
    return server.get(f"/deployments/name/top-words/{name}")


def test_run_of_the_local_deployment(deployed: PrefectServer, tmp_path: Path) -> None:
    """A run of `top-words/local` completes; the worker has no account but those in the blocks."""
    parameters = json.dumps({"inputs": ["data/*.txt"], "output_dir": str(tmp_path)})

    printed = deployed.run(
        *("prefect", "deployment", "run", "top-words/local", "--watch", "--params", parameters)
    )

    assert "Completed" in printed
    texts = sorted(path.stem for path in (PROJECT / "data").glob("taskdata*.txt"))
    assert sorted(path.stem for path in tmp_path.glob("*.txt")) == [f"{t}_OUTPUT" for t in texts]


def test_run_of_a_program_of_ones_own(deployed: PrefectServer, tmp_path: Path) -> None:
    """A run of `batch-map/local` runs the program that it is given over the inputs."""
    program = tmp_path / "copy.py"
    program.write_text("import shutil, sys; shutil.copyfile(*sys.argv[1:])")
    (tmp_path / "a.txt").write_text("hello")
    given = {"command": str(program), "inputs": [str(tmp_path / "a.txt")], "output_suffix": ".out"}
    parameters = json.dumps(given | {"output_dir": str(tmp_path / "results")})

    printed = deployed.run(
        *("prefect", "deployment", "run", "batch-map/local", "--watch", "--params", parameters)
    )

    assert "Completed" in printed
    assert (tmp_path / "results" / "a_OUTPUT.out").read_text() == "hello"


def test_schedule_is_off_until_turned_on(deployed: PrefectServer) -> None:
    """The deployment for Azure has its schedule, and nothing is scheduled by it."""
    deployment = read_deployment(deployed, "azure")

    assert [(item["slug"], item["active"]) for item in deployment["schedules"]] == [
        ("daily", False)
    ]
    assert scheduled_runs(deployed, deployment["id"]) == []


def test_active_schedule_makes_runs(deployed: PrefectServer) -> None:
    """Once the schedule is on, the server really creates runs."""
    deployment = read_deployment(deployed, "azure")
    path = f"/deployments/{deployment['id']}/schedules/{deployment['schedules'][0]['id']}"

    deployed.patch(path, {"active": True})

    assert wait_for(lambda: scheduled_runs(deployed, deployment["id"]), timeout_s=90)
    deployed.patch(path, {"active": False})


def scheduled_runs(server: PrefectServer, deployment_id: str) -> list[Any]:
    """Return the runs that the schedule of a deployment made."""
    runs = server.post(
        "/flow_runs/filter", {"deployments": {"id": {"any_": [deployment_id]}}, "limit": 200}
    )
    return [run for run in runs if run["auto_scheduled"]]


def test_saving_blocks_shows_no_secret(
    deployed: PrefectServer, local_azure: LocalAzure, tmp_path: Path
) -> None:
    """Saving can be repeated, says what it saved, and shows neither key nor connection string."""
    env_file = tmp_path / "accounts.env"
    lines = [f"export {name}={value!r}" for name, value in local_azure.environment.items()]
    env_file.write_text("\n".join(lines))

    printed = deployed.run("python", "-m", "blocks", "save", "again", "--env-file", str(env_file))

    assert "azure-batch-credentials/again" in printed
    assert "azure-storage-credentials/again" in printed
    assert "==" not in printed

"""`prefect.yaml` names flows that load and parameters that they take."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.top_words import top_words

PROJECT = Path(__file__).resolve().parents[2]
CONTENT = yaml.safe_load((PROJECT / "prefect.yaml").read_text())
DEPLOYMENTS = {deployment["name"]: deployment for deployment in CONTENT["deployments"]}


def test_both_deployments_are_there() -> None:
    """One deployment is for this machine and one for Azure, each with blocks of its own name."""
    assert set(DEPLOYMENTS) == {"local", "azure"}
    for name, deployment in DEPLOYMENTS.items():
        parameters = deployment["parameters"]
        assert parameters["batch_credentials"] == parameters["storage_credentials"] == name


@pytest.mark.parametrize("entrypoint", sorted({d["entrypoint"] for d in DEPLOYMENTS.values()}))
def test_entrypoint_loads_strictly(entrypoint: str) -> None:
    """The flow is importable as a worker imports it; Prefect's default loader would hide it."""
    code = (
        "import sys; from prefect.flows import load_flow_from_entrypoint as load;"
        "print(load(sys.argv[1], use_placeholder_flow=False).name)"
    )

    done = subprocess.run(
        [sys.executable, "-I", "-c", code, entrypoint],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "top-words\n", done.stderr


@pytest.mark.parametrize("deployment", DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def test_parameters_are_valid(deployment: dict[str, Any]) -> None:
    """The flow accepts the parameters that the deployment gives."""
    assert top_words.validate_parameters(deployment["parameters"])


def test_schedule_is_inactive() -> None:
    """Nobody gets scheduled runs, and a bill, by deploying."""
    schedules = [item for d in DEPLOYMENTS.values() for item in d.get("schedules", ())]

    assert [(item["slug"], item["active"]) for item in schedules] == [("daily", False)]


@pytest.mark.parametrize("path", sorted((PROJECT / "flows").glob("*.py")), ids=lambda p: p.stem)
def test_no_file_hides_a_package(path: Path) -> None:
    """A worker puts `flows/` first on its path: no file there may bear a package's name."""
    if path.stem != "__init__":
        assert importlib.util.find_spec(path.stem) is None

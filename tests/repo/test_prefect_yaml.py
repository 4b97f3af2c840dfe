"""`prefect.yaml` names flows that load and parameters that they take."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow

from flows.janitor import janitor
from flows.top_words import top_words

PROJECT = Path(__file__).resolve().parents[2]
CONTENT = yaml.safe_load((PROJECT / "prefect.yaml").read_text())
DEPLOYMENTS = {deployment["name"]: deployment for deployment in CONTENT["deployments"]}
FLOWS: dict[str, Flow[..., Any]] = {
    "flows/top_words.py:top_words": top_words,
    "flows/janitor.py:janitor": janitor,
}


@pytest.mark.parametrize(
    ("name", "block"), [("local", "local"), ("azure", "azure"), ("janitor", "azure")]
)
def test_accounts_of_deployments(name: str, block: str) -> None:
    """One deployment is for this machine; the other, and the janitor, are for Azure."""
    parameters = DEPLOYMENTS[name]["parameters"]

    assert parameters["batch_credentials"] == parameters["storage_credentials"] == block


def test_all_deployments_are_known() -> None:
    """There are no others."""
    assert DEPLOYMENTS.keys() == {"local", "azure", "janitor"}


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

    assert done.stdout == f"{FLOWS[entrypoint].name}\n", done.stderr


@pytest.mark.parametrize("deployment", DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def test_parameters_are_valid(deployment: dict[str, Any]) -> None:
    """The flow accepts the parameters that the deployment gives."""
    assert FLOWS[deployment["entrypoint"]].validate_parameters(deployment["parameters"])


def test_only_the_janitor_is_scheduled() -> None:
    """Nobody gets scheduled runs, and a bill, by deploying; but what saves money runs."""
    schedules = [item for d in DEPLOYMENTS.values() for item in d.get("schedules", ())]

    assert {item["slug"]: item["active"] for item in schedules} == {
        "daily": False,
        "every-10-minutes": True,
    }


def test_nothing_can_lock_out_the_janitor() -> None:
    """A run that died in the only place of a concurrency limit would hold it for ever."""
    janitor_keys = DEPLOYMENTS["janitor"].keys() | DEPLOYMENTS["janitor"]["work_pool"].keys()

    assert "concurrency_limit" not in janitor_keys


@pytest.mark.parametrize("path", sorted((PROJECT / "flows").glob("*.py")), ids=lambda p: p.stem)
def test_no_file_hides_a_package(path: Path) -> None:
    """A worker puts `flows/` first on its path: no file there may bear a package's name."""
    if path.stem != "__init__":
        assert importlib.util.find_spec(path.stem) is None

"""`prefect.yaml` names flows that load and parameters that they take."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow

from flows.top_words import top_words
from prefect_azure_batch.batch_map_flow import batch_map
from prefect_azure_batch.janitor import janitor

PROJECT = Path(__file__).resolve().parents[2]
TEXT = (PROJECT / "prefect.yaml").read_text()
FLOWS: dict[str, Flow[..., Any]] = {
    "flows/top_words.py:top_words": top_words,
    "prefect_azure_batch.batch_map_flow.batch_map": batch_map,
    "prefect_azure_batch.janitor.janitor": janitor,
}
DEPLOYMENTS = {
    f"{FLOWS[deployment['entrypoint']].name}/{deployment['name']}": deployment
    for deployment in yaml.safe_load(TEXT)["deployments"]
}
# Lines that are taken in; those of prose have one space after the sign.
COMMENTED_OUT = re.compile(r"^#(?=\S|  )", re.MULTILINE)


def test_all_deployments_are_known() -> None:
    """Each flow has one for this machine and one for Azure."""
    assert list(DEPLOYMENTS) == [
        *("top-words/local", "top-words/azure"),
        *("batch-map/local", "batch-map/azure"),
        *("janitor/local", "janitor/azure"),
    ]


@pytest.mark.parametrize("deployment", DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def test_accounts_of_deployments(deployment: dict[str, Any]) -> None:
    """A deployment, its tag and the blocks that it takes bear the same name."""
    parameters = deployment["parameters"]

    assert parameters["batch_credentials"] == deployment["name"]
    assert parameters["storage_credentials"] == deployment["name"]
    assert deployment["tags"] == [deployment["name"]]


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
    active = {
        name: [item["active"] for item in deployment.get("schedules", [])]
        for name, deployment in DEPLOYMENTS.items()
    }

    assert active == {
        "top-words/local": [False],
        "top-words/azure": [False],
        "batch-map/local": [],
        "batch-map/azure": [],
        "janitor/local": [True],
        "janitor/azure": [True],
    }


def test_limits() -> None:
    """On Azure one run works at a time, and others wait; nothing can lock out the janitor."""
    limits = {name: item.get("concurrency_limit") for name, item in DEPLOYMENTS.items()}

    assert limits.pop("top-words/azure") == {"limit": 1, "collision_strategy": "ENQUEUE"}
    assert set(limits.values()) == {None}


def test_docker_alternative() -> None:
    """What is commented out builds and pushes the image, and runs each flow run in it."""
    content = yaml.safe_load(COMMENTED_OUT.sub("", TEXT))

    build, push = content["build"][0], content["push"][0]
    (image,) = build.values()
    assert (PROJECT / image["dockerfile"]).is_file()
    assert list(push) == ["prefect_docker.deployments.steps.push_docker_image"]
    assert list(content["pull"][0].values()) == [{"directory": "/app"}]
    variables = content["deployments"][0]["work_pool"]["job_variables"]
    assert variables["image"] == "{{ image.image }}"
    assert [volume.split(":")[1] for volume in variables["volumes"]] == ["/app/results"]


@pytest.mark.parametrize("path", sorted((PROJECT / "flows").glob("*.py")), ids=lambda p: p.stem)
def test_no_file_hides_a_package(path: Path) -> None:
    """A worker puts `flows/` first on its path: no file there may bear a package's name."""
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({path.stem!r}) is None)"
    # Not in this process: pytest has the folder of the node programs on its path.
    hidden = subprocess.run([sys.executable, "-P", "-c", code], cwd="/", check=False)

    assert path.stem == "__init__" or hidden.returncode == 1

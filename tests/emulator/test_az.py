"""The az command line, unmodified, against the emulator (`make test-az`)."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from local_azure.stack import LocalAzure
from tests.support.processes import wait_until

pytestmark = [pytest.mark.az, pytest.mark.timeout(600)]


class Az:
    """`az batch` with the environment of the laptop's account and no `az login`."""

    def __init__(self, azure: LocalAzure, home: Path) -> None:
        config = {"AZURE_CONFIG_DIR": str(home), "AZURE_CORE_COLLECT_TELEMETRY": "no"}
        self._environment = {**os.environ, **azure.environment, **config}

    def __call__(self, *arguments: str) -> Any:
        """Run a command and give its JSON; None if it prints nothing."""
        done = subprocess.run(
            ["az", "batch", *arguments, "--output", "json"],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None


@pytest.fixture(scope="module")
def az(local_azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory) -> Az:
    """The command line."""
    return Az(local_azure, tmp_path_factory.mktemp("az"))


@pytest.fixture(scope="module")
def task_ids(az: Az) -> Iterator[tuple[str, str]]:
    """A job and its completed task, made and removed by az."""
    name = f"az-{uuid4().hex}"
    image = ("--image", "canonical:ubuntu-24_04-lts:server")
    agent = ("--node-agent-sku-id", "batch.node.ubuntu 24.04")
    size = ("--vm-size", "standard_d2s_v5", "--target-dedicated-nodes", "1")
    az("pool", "create", "--id", name, *size, *image, *agent)
    az("job", "create", "--id", name, "--pool-id", name)
    az("task", "create", "--job-id", name, "--task-id", "t1", "--command-line", "echo by az")
    show = ("task", "show", "--job-id", name, "--task-id", "t1")
    wait_until(lambda: az(*show)["state"] == "completed", 60)
    yield name, "t1"
    az("job", "delete", "--job-id", name, "--yes")
    az("pool", "delete", "--pool-id", name, "--yes")
    wait_until(lambda: az("job", "list") == az("pool", "list") == [], 60)


def test_a_task_made_by_az_runs(az: Az, task_ids: tuple[str, str], tmp_path: Path) -> None:
    """A task that az adds really runs, and az reads its exit code and its output."""
    job, task = task_ids
    names = ("--job-id", job, "--task-id", task)
    target = tmp_path / "stdout.txt"

    shown = az("task", "show", *names)
    az("task", "file", "download", *names, "--file-path", target.name, "--destination", str(target))

    assert shown["executionInfo"]["exitCode"] == 0
    assert target.read_text() == "by az\n"


def test_az_reads_images_files_and_counts(az: Az, task_ids: tuple[str, str]) -> None:
    """The lists that az asks for arrive in the shapes that it knows."""
    job, task = task_ids

    images = az("pool", "supported-images", "list")
    files = az("task", "file", "list", "--job-id", job, "--task-id", task)
    counts = az("job", "task-counts", "show", "--job-id", job)

    assert "batch.node.ubuntu 24.04" in {image["nodeAgentSkuId"] for image in images}
    assert {file["name"] for file in files} == {"stdout.txt", "stderr.txt", "wd"}
    assert counts["taskCounts"]["succeeded"] == 1

"""A janitor that meets trouble, and its command line."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_azure.batch.controls.faults import Kind, Rule
from local_azure.client import Control
from local_azure.stack import LocalAzure
from prefect_azure_batch.errors import CleanUpIncomplete
from prefect_azure_batch.janitor import janitor
from prefect_azure_batch.service.clients import Services
from tests.support.paths import PROJECT
from tests.support.pipeline.estates import Left, MakeLeft, lefts


@pytest.fixture
def controlled_accounts(
    controlled_azure: LocalAzure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> LocalAzure:
    """The environment of accounts whose services can be made to fail."""
    for name, value in controlled_azure.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return controlled_azure


@pytest.fixture
def make_left(controlled_services: Services) -> Iterator[MakeLeft]:
    """Make runs there whose process did not get to their end."""
    with lefts(controlled_services) as make:
        yield make


@pytest.fixture
def dead(make_left: MakeLeft) -> list[Left]:
    """Two dead runs."""
    made = [make_left() for _ in range(2)]
    for left in made:
        left.fall_silent()
    return made


@pytest.mark.usefixtures("prefect_harness", "controlled_accounts")
def test_trouble_with_one_run_keeps_no_other(dead: list[Left], control: Control) -> None:
    """What is refused is named at the end; everything else is gone, and it is next time."""
    stuck, other = dead
    path = f"/pools/{stuck.run.pool_id}"
    rule = Rule(kind=Kind.ERROR, method="DELETE", path=path, status=403, code="AccountIsDisabled")
    control.add_fault(rule)

    refused = f"^delete pool {stuck.run.pool_id}: AccountIsDisabled.*run {stuck.run.name}; a"
    with pytest.raises(CleanUpIncomplete, match=refused):
        janitor()

    assert other.names() == []
    assert f"pool {stuck.run.pool_id}" in stuck.names()
    control.clear_faults()
    stuck.fall_silent()
    janitor()
    assert stuck.names() == []


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the janitor's command line, with no server of Prefect's there."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    return subprocess.run(
        [sys.executable, "-m", "flows.janitor", *arguments],
        cwd=folder,
        env=environment | {"PREFECT_HOME": str(folder), "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.usefixtures("controlled_accounts")
def test_what_is_billed_is_shown(dead: list[Left], tmp_path: Path) -> None:
    """`--dry-run` prints what there is and what would be deleted, and deletes nothing."""
    done = command(tmp_path, "--dry-run")

    assert done.returncode == 0, done.stderr
    assert "nodes billed when it looked: 0 of our runs" in done.stdout
    assert done.stdout.count("would be deleted whole") == 2
    assert [len(left.names()) for left in dead] == [5, 5]


def test_command_without_accounts(tmp_path: Path) -> None:
    """Without accounts the command ends with one error that says what is missing, and with 1."""
    done = command(tmp_path)

    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "AZURE_BATCH_ACCOUNT" in done.stderr
    assert len(done.stderr.splitlines()) == 1

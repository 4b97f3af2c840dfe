"""The account on which these tests run: never one by accident, and nothing is left on it."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.client.schemas.sorting import FlowRunSort

from blocks import AzureBatchCredentials, AzureStorageCredentials
from prefect_azure_batch.credentials.environment import BATCH_ACCOUNT, read_environment
from prefect_azure_batch.model.run import EVERY_ATTEMPT, Run, new_run
from prefect_azure_batch.ownership.deletion import KindsToDelete, delete_leftovers, find_leftovers
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import RunContext
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings

# A fixture: its Prefect server knows these tests' runs and no others.
from tests.pipeline.conftest import prefect_harness  # noqa: F401

MARKER = "azure"
VM_SIZE = "AZURE_TEST_VM_SIZE"
# Deleting a pool takes minutes.
GONE_S = 1800


@pytest.fixture(scope="session", autouse=True)
def account(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """The environment and `.env` with an account, which the marker must have asked for by name."""
    if MARKER not in re.findall(r"\w+", str(request.config.option.markexpr)):
        pytest.skip("these cost money: only `make test-azure` (pytest -m azure) runs them")
    values = read_environment()
    if not values.get(BATCH_ACCOUNT):
        pytest.skip(f"no account: {BATCH_ACCOUNT} is neither in the environment nor in .env")
    return values


@pytest.fixture(scope="session")
def services(account: Mapping[str, str]) -> Iterator[Services]:
    """The clients of that account; one that is not complete or does not answer is an error."""
    batch = AzureBatchCredentials.from_environment(account)
    storage = AzureStorageCredentials.from_environment(account)
    batch.check_connection()
    storage.check_connection()
    with batch.get_client() as batch_client, storage.get_client() as blobs:
        yield Services(batch_client, blobs)


@pytest.fixture(scope="session")
def pool(account: Mapping[str, str]) -> PoolSettings:
    """One node, of the size that `AZURE_TEST_VM_SIZE` says, or the default one."""
    vm_size = account.get(VM_SIZE)
    return PoolSettings(vm_size=vm_size) if vm_size else PoolSettings()


@pytest.fixture(scope="module")
def folder(
    account: Mapping[str, str],
    services: Services,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Path]:
    """A working directory without `.env`, in which the flow finds the account all the same.

    Afterwards whatever the flow runs in there have left is deleted.
    """
    request.getfixturevalue("prefect_harness")
    known = {run.name for run in runs()}
    path = tmp_path_factory.mktemp("azure")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        for name, value in account.items():
            if os.environ.get(name) != value:
                patch.setenv(name, value)
        yield path
        for run in runs():
            if run.name not in known:
                delete_leftovers(RunContext.of(services, run), KindsToDelete(), GONE_S)


def runs() -> list[Run]:
    """Return all runs of these tests, the newest first: those of the tests' own Prefect server."""
    wanted = FlowFilter(name=FlowFilterName(any_=["top-words"]))
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_filter=wanted, sort=FlowRunSort.START_TIME_DESC)
    return [run_of(flow_run.id) for flow_run in found]


def run_of(flow_run_id: UUID) -> Run:
    """Return a run with the names of all its attempts."""
    return new_run(flow_run_id, EVERY_ATTEMPT, JobSettings(), CleanUpPolicy())


def left_of(services: Services, run: Run) -> list[str]:
    """Return the kinds of what is there of a run, sorted."""
    return sorted(name.partition(" ")[0] for name in find_leftovers(RunContext.of(services, run)))

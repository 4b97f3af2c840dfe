"""A janitor held at each of its calls in turn, while a run starts, works and ends beside it."""

import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, current_thread
from uuid import uuid4

import pytest
from azure.batch import BatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.pipeline import PipelineRequest
from azure.storage.blob import BlobServiceClient

from flows.top_words import top_words
from flows.word_count.result import Result
from flows.word_count.settings import CountSettings
from local_azure.stack import LocalAzure
from prefect_azure_batch.ownership.dead_run_deletion import Removal, delete_dead_runs
from prefect_azure_batch.ownership.inventory import take_inventory
from prefect_azure_batch.ownership.liveness import LifeState
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.settings import CleanUpPolicy
from tests.pipeline.conftest import leftovers
from tests.support.pipeline.estates import lefts
from tests.support.processes import wait_until

pytestmark = pytest.mark.usefixtures("prefect_harness", "accounts")

# About so many calls it makes until a dead run is gone.
NUM_CALLS = 36
SEED = 20260101
# HELD=36 holds it at all of them.
HELD = sorted(
    random.Random(SEED).sample(range(1, NUM_CALLS + 1), int(os.environ.get("HELD", "4")))  # noqa: S311 - it is to be repeatable
)
PHASES: dict[str, Callable[[Services, Future[Result]], bool]] = {
    "before it starts": lambda _services, _run: True,
    "with containers": lambda services, run: run.done() or num_of("container", services) > 1,
    "with a pool": lambda services, run: run.done() or num_of("pool", services) > 1,
    "with a job": lambda services, run: run.done() or num_of("job", services) > 1,
    "when it has ended": lambda _services, run: run.done(),
}
"""When the janitor is let go, by what there is of the live run."""


class Gate:
    """Holds the calls of a client's own threads from one of them on; heartbeats pass.

    Args:
        held: the number of the first call that is held, from 1.
    """

    def __init__(self, held: int) -> None:
        self._held = held
        self._num_calls = 0
        self._lock = Lock()
        self._opened = Event()
        self.is_reached = Event()

    def __call__(self, _: PipelineRequest[object]) -> None:
        """Count a call, and hold it if it is its turn."""
        if current_thread().name == "heartbeat":
            return
        with self._lock:
            self._num_calls += 1
            is_held = self._num_calls >= self._held
        if is_held:
            self.is_reached.set()
            self._opened.wait()

    def open(self) -> None:
        """Hold nothing any more."""
        self._opened.set()


@contextmanager
def gated(azure: LocalAzure, gate: Gate) -> Iterator[Services]:
    """Open clients of the accounts whose calls go through a gate."""
    env = azure.environment
    key = AzureNamedKeyCredential(env["AZURE_BATCH_ACCOUNT"], env["AZURE_BATCH_ACCESS_KEY"])
    connection = env["AZURE_STORAGE_CONNECTION_STRING"]
    with (
        BatchClient(env["AZURE_BATCH_ENDPOINT"], key, raw_request_hook=gate) as batch,
        BlobServiceClient.from_connection_string(connection, raw_request_hook=gate) as blobs,
    ):
        yield Services(batch, blobs)


def num_of(kind: str, services: Services) -> int:
    """Return how many runs have resources of a kind."""
    found = [name.split() for name in leftovers(services)]
    return len({name[:35] for of, name in found if of == kind})


def clean(azure: LocalAzure, gate: Gate) -> list[Removal]:
    """Look at everything and delete what is dead, as the janitor does."""
    with gated(azure, gate) as services:
        runs = take_inventory(services).runs
        dead = [found for found in runs if found.liveness.state is LifeState.DEAD]
        return delete_dead_runs(services, dead, uuid4())


def count(text: Path, folder: Path) -> Result:
    """Run the flow on one text."""
    job, clean_up = CountSettings(poll_interval_s=0.2), CleanUpPolicy(heartbeat_limit_s=10)
    return top_words([str(text)], 1, str(folder), job=job, clean_up=clean_up)


@pytest.mark.parametrize("held", HELD)
def test_live_run_is_not_disturbed(
    accounts: LocalAzure, services: Services, tmp_path: Path, held: int
) -> None:
    """A run that starts, works and ends beside a janitor is not touched; a dead one is deleted."""
    text = tmp_path / "one.txt"
    text.write_text("one one two")
    phase = random.Random(held).choice(list(PHASES))  # noqa: S311 - it is to be repeatable
    gate = Gate(held)
    with lefts(services) as make, ThreadPoolExecutor(2) as threads:
        dead = make()
        dead.fall_silent()
        janitor = threads.submit(clean, accounts, gate)
        wait_until(lambda: gate.is_reached.is_set() or janitor.done(), 30)
        run = threads.submit(count, text, tmp_path / "results")
        wait_until(lambda: PHASES[phase](services, run), 120)
        gate.open()

        assert run.result().words == {"one.txt": [("one", 2)]}
        removals = janitor.result()

    assert [item.problem for item in removals] == [None]
    assert [item.run_id for item in removals if item.is_taken] == [dead.run.flow_run_id]
    assert leftovers(services) == []

"""Killed with -9 again and again under load: nothing acknowledged is lost, nothing runs twice.

`make test` does it a few times, `make test-crashes` a hundred times.
"""

import os
import random
import shlex
import threading
import time
from pathlib import Path

import pytest
from azure.batch import BatchClient
from azure.batch.models import BatchTaskCounts
from azure.core.exceptions import AzureError

from tests.support.emulator import builders as kit
from tests.support.emulator.emulators import Account
from tests.support.processes import wait_until

CRASHES = int(os.environ.get("CRASHES", "5"))
SEED = 20261122


def careful(folder: Path, task_id: str) -> str:
    """Return a command that holds its task's lock while it runs, and reports one that is held."""
    lock, overlaps, begun = (
        shlex.quote(str(folder / name)) for name in (f"{task_id}.lock", "overlaps", "begun")
    )
    return kit.sh(
        f"exec 9>>{lock}; flock -n 9 || {{ echo {task_id} >> {overlaps}; exit 1; }}; "
        f"echo {task_id} >> {begun}; sleep 0.05"
    )


class Load:
    """Adds tasks one by one until the emulator is gone, and remembers those acknowledged."""

    def __init__(self, folder: Path) -> None:
        self.acknowledged: list[str] = []
        self._folder = folder

    def run(self, client: BatchClient, job: str) -> None:
        """Add tasks until a call gets no answer."""
        # Without repetition: a task is acknowledged by the answer to its one request, or not.
        for number in range(1000):
            task_id = f"t{len(self.acknowledged)}-{number}-{time.monotonic_ns()}"
            options = kit.task_options(careful(self._folder, task_id), id=task_id)
            try:
                client.create_task(job, options, retry_total=0)
            except AzureError:
                return
            self.acknowledged.append(task_id)


@pytest.mark.timeout(60 + 4 * CRASHES)
def test_crashes_under_load(account: Account, tmp_path: Path) -> None:
    """Every task whose creation was answered is there, runs to its end, and never twice at once."""
    # Seeded, so that a failure can be looked for again.
    moments = random.Random(SEED)  # noqa: S311
    load = Load(tmp_path)
    client = account.client()
    pool = kit.a_pool(client, task_slots_per_node=4)
    job = kit.a_job(client, pool)

    for _ in range(CRASHES):
        thread = threading.Thread(target=load.run, args=(client, job))
        thread.start()
        time.sleep(moments.uniform(0.05, 0.5))
        account.end()
        thread.join(timeout=30)
        client = account.again()
        present = {task.id for task in client.list_tasks(job, select=["id"])}
        assert set(load.acknowledged) <= present
    wait_until(lambda: not counts(client, job).active + counts(client, job).running, 120)

    assert len(load.acknowledged) > CRASHES
    done = counts(client, job)
    assert (done.failed, done.succeeded >= len(load.acknowledged)) == (0, True)
    assert not (tmp_path / "overlaps").exists()
    begun = set((tmp_path / "begun").read_text().split())
    assert set(load.acknowledged) <= begun


def counts(client: BatchClient, job: str) -> BatchTaskCounts:
    """Return the job's task counts."""
    return client.get_job_task_counts(job).task_counts

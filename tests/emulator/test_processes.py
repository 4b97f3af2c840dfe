"""The processes of tasks: which there are, and that none outlives its task."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.batch import BatchClient

from tests.emulator.builders import (
    a_job,
    a_pool,
    a_task,
    constraints,
    delete_job,
    delete_pool,
    info_of,
    node_of,
    reach,
    resize,
    run,
    send,
    sh,
    task_options,
    terminate_job,
)
from tests.emulator.emulators import Emulator, client_of, started
from tests.support.processes import wait_until

FAMILY = sh("sleep 71 & (sleep 71 & sleep 71) & trap '' TERM; sleep 71")
"""A shell with children and grandchildren that does not mind SIGTERM."""


@pytest.mark.parametrize(
    "end",
    [
        lambda batch, _pool, job, task: batch.terminate_task(job, task),
        lambda batch, _pool, job, task: batch.delete_task(job, task),
        lambda batch, _pool, job, _task: terminate_job(batch, job, "over"),
        lambda batch, _pool, job, _task: delete_job(batch, job),
        lambda batch, pool, _job, _task: delete_pool(batch, pool),
    ],
    ids=["terminate task", "delete task", "terminate job", "delete job", "delete pool"],
)
def test_the_whole_family_is_killed(
    batch: BatchClient,
    emulator: Emulator,
    pool: str,
    job: str,
    end: Callable[[BatchClient, str, str, str], None],
) -> None:
    """However a task ends from outside, its children and grandchildren end too."""
    task = a_task(batch, job, FAMILY)
    wait_until(lambda: len(emulator.task_pids("sleep 71")) >= 5)

    end(batch, pool, job, task)

    wait_until(lambda: not emulator.task_pids("sleep 71"))


def test_the_whole_family_is_killed_at_the_limit(
    batch: BatchClient, emulator: Emulator, job: str
) -> None:
    """When the task is completed with TaskEnded, nothing of it runs any more."""
    run(batch, job, FAMILY, constraints=constraints(limit_s=0.5))

    wait_until(lambda: not emulator.task_pids("sleep 71"))


def test_what_a_task_leaves_behind_is_killed(
    batch: BatchClient, emulator: Emulator, job: str
) -> None:
    """A task is over with its first process; children that it left go with it."""
    task = run(batch, job, sh("sleep 72 & exit 0"))

    assert info_of(task).result == "success"
    wait_until(lambda: not emulator.task_pids("sleep 72"))


def test_a_process_that_dies_by_itself_is_noticed(
    batch: BatchClient, emulator: Emulator, job: str
) -> None:
    """Somebody else's signal ends the task like an exit code of its own."""
    task = a_task(batch, job, "sleep 73")
    reach(batch, job, task, "running")
    (pid,) = emulator.task_pids("sleep 73")

    os.kill(pid, signal.SIGKILL)

    assert info_of(reach(batch, job, task, "completed")).exit_code == 137


def test_a_task_reads_nothing_from_the_emulators_input(batch: BatchClient, job: str) -> None:
    """Its standard input is empty."""
    assert info_of(run(batch, job, sh('test -z "$(cat)"'))).result == "success"


def test_nothing_is_left_of_tasks_ended_while_they_start(
    batch: BatchClient, emulator: Emulator, pool: str, job: str
) -> None:
    """Between the start of a process and the wait for it, it can be killed too."""
    for _ in range(30):
        task = a_task(batch, job, "sleep 74")
        wait_until(lambda task=task: batch.get_task(job, task).state != "active")  # type: ignore[misc]
        batch.delete_task(job, task)

    wait_until(lambda: not emulator.task_pids("sleep 74"))
    wait_until(lambda: node_of(batch, pool).running_tasks_count == 0)


def test_a_task_has_no_open_files_of_the_emulator(batch: BatchClient, job: str) -> None:
    """Beside its three streams a process starts with none."""
    script = 'for f in /proc/$$/fd/*; do n=${f##*/}; test "$n" -le 2 || readlink "$f"; done'
    task = run(batch, job, sh(f"{script}; true"))

    names = b"".join(batch.download_task_file(job, str(task.id), "stdout.txt")).decode()

    assert "socket" not in names


def test_a_stop_ends_what_runs_and_begins_nothing(tmp_path: Path) -> None:
    """SIGTERM kills running tasks, and the slots that this frees stay free."""
    with started(tmp_path) as emulator:
        with client_of(emulator) as client:
            job = a_job(client, a_pool(client))
            command = sh(f"echo x >>{tmp_path}/begun; exec sleep 75")
            client.create_tasks(job, [task_options(command) for _ in range(200)])
            wait_until(lambda: emulator.task_pids("sleep 75"))
        emulator.process.terminate()

        assert emulator.process.wait(timeout=10) == -signal.SIGTERM
        assert not emulator.task_pids()
        assert (tmp_path / "begun").read_text() == "x\n"
        assert emulator.log.read_text() == ""


RUNAWAY = sh("setsid sh -c 'setsid sleep 72 & ' & wait")
"""A task that ends at once and leaves behind a process in a session of its own."""


@pytest.mark.parametrize(
    "end",
    [
        delete_pool,
        lambda batch, pool: send(
            batch, "POST", f"/pools/{pool}/nodes/{node_of(batch, pool).id}/reboot"
        ),
        lambda batch, pool: resize(batch, pool, target_dedicated_nodes=0),
    ],
    ids=["delete pool", "reboot", "resize"],
)
def test_a_runaway_ends_with_its_node(
    batch: BatchClient, emulator: Emulator, end: Callable[[BatchClient, str], object]
) -> None:
    """A process that has left its task's group lives as long as its node, and no longer."""
    pool = a_pool(batch)
    run(batch, a_job(batch, pool), RUNAWAY)
    wait_until(lambda: emulator.task_pids("sleep 72"))

    end(batch, pool)

    wait_until(lambda: not emulator.task_pids("sleep 72"))

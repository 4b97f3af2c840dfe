"""The processes of tasks: which there are, and that none outlives its task."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.batch import BatchClient

from tests.support.emulator import builders as kit
from tests.support.emulator.emulators import Emulator, client_of, started
from tests.support.processes import wait_until

FAMILY = kit.sh("sleep 71 & (sleep 71 & sleep 71) & trap '' TERM; sleep 71")
"""A shell with children and grandchildren that does not mind SIGTERM."""


@pytest.mark.parametrize(
    "end",
    [
        lambda batch, _pool, job, task: batch.terminate_task(job, task),
        lambda batch, _pool, job, task: batch.delete_task(job, task),
        lambda batch, _pool, job, _task: kit.terminate_job(batch, job, "over"),
        lambda batch, _pool, job, _task: kit.delete_job(batch, job),
        lambda batch, pool, _job, _task: kit.delete_pool(batch, pool),
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
    task = kit.a_task(batch, job, FAMILY)
    wait_until(lambda: len(emulator.task_pids("sleep 71")) >= 5)

    end(batch, pool, job, task)

    wait_until(lambda: not emulator.task_pids("sleep 71"))


def test_the_whole_family_is_killed_at_the_limit(
    batch: BatchClient, emulator: Emulator, job: str
) -> None:
    """When the task is completed with TaskEnded, nothing of it runs any more."""
    kit.run(batch, job, FAMILY, constraints=kit.constraints(limit_s=0.5))

    wait_until(lambda: not emulator.task_pids("sleep 71"))


def test_what_a_task_leaves_behind_is_killed(
    batch: BatchClient, emulator: Emulator, job: str
) -> None:
    """A task is over with its first process; children that it left go with it."""
    task = kit.run(batch, job, kit.sh("sleep 72 & exit 0"))

    assert kit.info_of(task).result == "success"
    wait_until(lambda: not emulator.task_pids("sleep 72"))


def test_a_process_that_dies_by_itself_is_noticed(
    batch: BatchClient, emulator: Emulator, job: str
) -> None:
    """Somebody else's signal ends the task like an exit code of its own."""
    task = kit.a_task(batch, job, "sleep 73")
    kit.reach(batch, job, task, "running")
    (pid,) = emulator.task_pids("sleep 73")

    os.kill(pid, signal.SIGKILL)

    assert kit.info_of(kit.reach(batch, job, task, "completed")).exit_code == 137


def test_a_task_reads_nothing_from_the_emulators_input(batch: BatchClient, job: str) -> None:
    """Its standard input is empty."""
    assert kit.info_of(kit.run(batch, job, kit.sh('test -z "$(cat)"'))).result == "success"


def test_nothing_is_left_of_tasks_ended_while_they_start(
    batch: BatchClient, emulator: Emulator, pool: str, job: str
) -> None:
    """Between the start of a process and the wait for it, it can be killed too."""
    for _ in range(30):
        task = kit.a_task(batch, job, "sleep 74")
        wait_until(lambda task=task: batch.get_task(job, task).state != "active")  # type: ignore[misc]
        batch.delete_task(job, task)

    wait_until(lambda: not emulator.task_pids("sleep 74"))
    wait_until(lambda: kit.node_of(batch, pool).running_tasks_count == 0)


def test_a_task_has_no_open_files_of_the_emulator(batch: BatchClient, job: str) -> None:
    """Beside its three streams a process starts with none."""
    script = 'for f in /proc/$$/fd/*; do n=${f##*/}; test "$n" -le 2 || readlink "$f"; done'
    task = kit.run(batch, job, kit.sh(f"{script}; true"))

    names = b"".join(batch.download_task_file(job, str(task.id), "stdout.txt")).decode()

    assert "socket" not in names


def test_a_stop_ends_what_runs_and_begins_nothing(tmp_path: Path) -> None:
    """SIGTERM kills running tasks, and the slots that this frees stay free."""
    with started(tmp_path) as emulator:
        with client_of(emulator) as client:
            job = kit.a_job(client, kit.a_pool(client))
            command = kit.sh(f"echo x >>{tmp_path}/begun; exec sleep 75")
            client.create_tasks(job, [kit.task_options(command) for _ in range(200)])
            wait_until(lambda: emulator.task_pids("sleep 75"))
        emulator.process.terminate()

        assert emulator.process.wait(timeout=10) == -signal.SIGTERM
        assert not emulator.task_pids()
        assert (tmp_path / "begun").read_text() == "x\n"
        assert emulator.log.read_text() == ""


RUNAWAY = kit.sh("setsid sh -c 'setsid sleep 72 & ' & wait")
"""A task that ends at once and leaves behind a process in a session of its own."""


@pytest.mark.parametrize(
    "end",
    [
        kit.delete_pool,
        lambda batch, pool: kit.send(
            batch, "POST", f"/pools/{pool}/nodes/{kit.node_of(batch, pool).id}/reboot"
        ),
        lambda batch, pool: kit.resize(batch, pool, target_dedicated_nodes=0),
    ],
    ids=["delete pool", "reboot", "resize"],
)
def test_a_runaway_ends_with_its_node(
    batch: BatchClient, emulator: Emulator, end: Callable[[BatchClient, str], object]
) -> None:
    """A process that has left its task's group lives as long as its node, and no longer."""
    pool = kit.a_pool(batch)
    kit.run(batch, kit.a_job(batch, pool), RUNAWAY)
    wait_until(lambda: emulator.task_pids("sleep 72"))

    end(batch, pool)

    wait_until(lambda: not emulator.task_pids("sleep 72"))


@pytest.mark.parametrize(
    "command", ["echo " + "x" * 1_000_000, "echo '" + "x" * 1_000_000 + "'", "x" * 3_500_000]
)
def test_a_command_line_that_is_too_long(emulator: Emulator, job: str, command: str) -> None:
    """A command that no system starts fails at once, and holds up nobody."""
    with client_of(emulator, retry_total=0, read_timeout=5) as impatient:
        task = kit.run(impatient, job, command)

    assert kit.failure_code(task) == "CommandLaunchFailed"

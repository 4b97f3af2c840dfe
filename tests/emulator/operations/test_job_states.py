"""Jobs of the Batch emulator that are disabled and enabled, and tasks that are reactivated."""

import pytest
from azure.batch import BatchClient, models

from tests.support.emulator import builders as kit
from tests.support.processes import wait_until


def disable(batch: BatchClient, job: str, disable_tasks: str = "requeue") -> None:
    """Ask for a job to be disabled, without waiting for it."""
    options = models.BatchJobDisableOptions(disable_tasks=disable_tasks)
    batch.begin_disable_job(job, options, polling_interval=1)


def enable(batch: BatchClient, job: str) -> None:
    """Ask for a job to be enabled, without waiting for it."""
    batch.begin_enable_job(job, polling_interval=1)


def becomes(batch: BatchClient, job: str, state: str) -> None:
    """Wait until a job is in a state."""
    wait_until(lambda: batch.get_job(job).state == state)


def test_requeue_and_enable(batch: BatchClient, job: str) -> None:
    """A running task becomes active, counts a requeue, and runs again when the job is enabled."""
    task = kit.a_task(batch, job, kit.sh("exec sleep 60"))
    kit.reach(batch, job, task, "running")

    disable(batch, job)
    becomes(batch, job, "disabled")
    found = batch.get_task(job, task)
    assert (found.state, kit.info_of(found).requeue_count) == ("active", 1)
    assert kit.info_of(found).retry_count == 0

    enable(batch, job)
    kit.reach(batch, job, task, "running")
    assert batch.get_job(job).state == "active"


def test_terminate_option(batch: BatchClient, job: str) -> None:
    """A running task is completed as ended, and an active one stays."""
    task = kit.a_task(batch, job, kit.sh("exec sleep 60"))
    kit.reach(batch, job, task, "running")
    waiting = kit.a_task(batch, job)

    disable(batch, job, "terminate")
    becomes(batch, job, "disabled")

    assert kit.failure_code(batch.get_task(job, task)) == "TaskEnded"
    assert batch.get_task(job, waiting).state == "active"


def test_wait_option(batch: BatchClient, job: str) -> None:
    """The job is disabling until its running task has ended by itself; no other one starts."""
    script = 'until test -e "$AZ_BATCH_NODE_SHARED_DIR/go"; do sleep 0.02; done'
    task = kit.a_task(batch, job, kit.sh(script))
    kit.reach(batch, job, task, "running")
    waiting = kit.a_task(batch, job)

    disable(batch, job, "wait")
    assert batch.get_job(job).state == "disabling"
    other = kit.a_job(batch, str(batch.get_job(job).pool_info.pool_id))
    assert batch.get_task(job, task).state == "running"
    batch.terminate_task(job, task)
    becomes(batch, job, "disabled")

    assert batch.get_task(job, waiting).state == "active"
    assert kit.said(batch, other, "echo mine") == "mine\n"


def test_waiting_can_be_cut_short(batch: BatchClient, job: str) -> None:
    """A second disable of a disabling job may end what the first one waits for."""
    task = kit.a_task(batch, job, kit.sh("exec sleep 60"))
    kit.reach(batch, job, task, "running")
    disable(batch, job, "wait")
    assert batch.get_job(job).state == "disabling"

    disable(batch, job, "requeue")

    becomes(batch, job, "disabled")
    assert batch.get_task(job, task).state == "active"


def test_a_disabled_job_takes_tasks_and_runs_none(batch: BatchClient, pool: str) -> None:
    """They are active until the job is enabled; the node is free for others meanwhile."""
    job, other = kit.a_job(batch, pool), kit.a_job(batch, pool)
    disable(batch, job)
    becomes(batch, job, "disabled")
    task = kit.a_task(batch, job)

    kit.run(batch, other, "true")
    assert batch.get_task(job, task).state == "active"

    enable(batch, job)
    kit.reach(batch, job, task, "completed")


def test_the_pool_of_a_disabled_job_may_change(batch: BatchClient, job: str) -> None:
    """Its tasks then run on the other pool."""
    disable(batch, job)
    becomes(batch, job, "disabled")
    other = kit.a_pool(batch)

    options = models.BatchJobUpdateOptions(pool_info=models.BatchPoolInfo(pool_id=other))
    batch.update_job(job, options)
    enable(batch, job)

    task = kit.run(batch, job, "true")
    assert task.node_info is not None
    assert task.node_info.pool_id == other


@pytest.mark.parametrize("end", ["terminate", "delete"])
def test_a_disabled_job_can_be_ended(batch: BatchClient, job: str, end: str) -> None:
    """Its tasks need not run for that."""
    disable(batch, job)
    becomes(batch, job, "disabled")

    if end == "terminate":
        kit.terminate_job(batch, job)
        becomes(batch, job, "completed")
    else:
        kit.delete_job(batch, job)


def test_enable_needs_a_disabled_job(batch: BatchClient, job: str) -> None:
    """An active job cannot be enabled."""
    with kit.refused(409, "OperationInvalidForCurrentState"):
        enable(batch, job)


def test_disable_says_what_becomes_of_tasks(batch: BatchClient, job: str) -> None:
    """The option is required, and one of three."""
    with kit.refused(400, "MissingRequiredProperty"):
        kit.send(batch, "POST", f"/jobs/{job}/disable", json={})
    with kit.refused(400, "InvalidPropertyValue"):
        disable(batch, job, "perhaps")


def test_more_parallel_tasks_take_effect_at_once(batch: BatchClient) -> None:
    """A raised limit lets the next task start."""
    job = kit.a_job(batch, kit.a_pool(batch, task_slots_per_node=2), max_parallel_tasks=1)
    first, second = (kit.a_task(batch, job, kit.sh("exec sleep 60")) for _ in range(2))
    kit.reach(batch, job, first, "running")

    batch.update_job(job, models.BatchJobUpdateOptions(max_parallel_tasks=2))

    kit.reach(batch, job, second, "running")


def test_reactivation_runs_a_failed_task_anew(batch: BatchClient, job: str) -> None:
    """Nothing of the failure is left, and its retries count from 0 again."""
    script = 'n="$AZ_BATCH_NODE_SHARED_DIR/n"; echo x >>"$n"; test $(wc -l <"$n") = 4'
    task = kit.run(batch, job, kit.sh(script), constraints=kit.constraints(retries=1))
    assert kit.info_of(task).retry_count == 1

    batch.reactivate_task(job, str(task.id))

    info = kit.info_of(kit.reach(batch, job, str(task.id), "completed"))
    assert (info.result, info.exit_code, info.retry_count) == ("success", 0, 1)
    assert info.failure_info is None


def test_reactivation_of_an_ended_task(batch: BatchClient) -> None:
    """A task that was ended before it ran is active again, as if it were new."""
    job = kit.a_job(batch, "no-such-pool")
    task = kit.a_task(batch, job)
    batch.terminate_task(job, task)

    batch.reactivate_task(job, task)

    found = batch.get_task(job, task)
    assert (found.state, found.previous_state) == ("active", "completed")
    assert (kit.failure_code(found), kit.info_of(found).result, kit.info_of(found).end_time) == (
        None,
    ) * 3
    assert batch.get_job_task_counts(job).task_counts.failed == 0


def test_the_first_retention_does_not_clean_a_second_life(batch: BatchClient, job: str) -> None:
    """The time counts from the last end."""
    script = 'n="$AZ_BATCH_NODE_SHARED_DIR/n"; test -e "$n" && sleep 0.7; touch "$n"; echo x; false'
    task = kit.run(batch, job, kit.sh(script), constraints=kit.constraints(retention_s=0.5))

    batch.reactivate_task(job, str(task.id))
    kit.reach(batch, job, str(task.id), "completed")

    assert {item.name for item in batch.list_task_files(job, str(task.id))} > {"stdout.txt"}


def test_what_cannot_be_reactivated(batch: BatchClient, pool: str, job: str) -> None:
    """Neither an active task, nor a success, nor a task of a completed job."""
    idle_job = kit.a_job(batch, "no-such-pool")
    active = kit.a_task(batch, idle_job)
    success = kit.run(batch, job, "true")
    failed = kit.run(batch, job, "false")
    with kit.refused(409, "TaskNotCompleted"):
        batch.reactivate_task(idle_job, active)
    with kit.refused(409, "TaskSucceeded"):
        batch.reactivate_task(job, str(success.id))
    kit.terminate_job(batch, job)
    becomes(batch, job, "completed")
    with kit.refused(409, "JobCompleted"):
        batch.reactivate_task(job, str(failed.id))
    assert kit.node_of(batch, pool).state == "idle"

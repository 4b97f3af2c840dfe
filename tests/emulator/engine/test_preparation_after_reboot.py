"""Job preparation and release tasks of the Batch emulator on nodes that boot again."""

from typing import Any

import pytest
from azure.batch import BatchClient, models

from tests.support.emulator import builders as kit
from tests.support.processes import wait_until

COUNT = 'echo x >>"$AZ_BATCH_NODE_SHARED_DIR/n"; '
SAY = 'wc -l <"$AZ_BATCH_NODE_SHARED_DIR/n"'


def prepared(batch: BatchClient, pool: str, script: str, **options: Any) -> str:
    """Create a job with a preparation and a release task, and return its id."""
    before = models.BatchJobPreparationTask(command_line=kit.sh(script), **options)
    after = models.BatchJobReleaseTask(command_line="true")
    return kit.a_job(batch, pool, job_preparation_task=before, job_release_task=after)


def boot(batch: BatchClient, pool: str, operation: str) -> None:
    """Reboot or reimage the only node of a pool, and wait until it is idle again."""
    before = kit.node_of(batch, pool)
    # The SDK sends no such request without a body, and hides the model of the body.
    kit.send(
        batch, "POST", f"/pools/{pool}/nodes/{before.id}/{operation}", json={}
    ).raise_for_status()
    wait_until(lambda: kit.node_of(batch, pool).last_boot_time != before.last_boot_time)
    wait_until(lambda: kit.node_of(batch, pool).state == "idle")


@pytest.mark.parametrize(("again", "runs"), [(True, "2"), (False, "1")])
def test_after_a_reboot(batch: BatchClient, pool: str, *, again: bool, runs: str) -> None:
    """The preparation runs again before the next task, unless the job does without."""
    job = prepared(batch, pool, COUNT, rerun_on_node_reboot_after_success=again)
    kit.run(batch, job, "true")

    boot(batch, pool, "reboot")

    assert kit.said(batch, job, SAY).strip() == runs


def test_after_a_reimage(batch: BatchClient, pool: str) -> None:
    """The node is empty: the preparation runs again, whatever the job says of reboots."""
    job = prepared(batch, pool, COUNT, rerun_on_node_reboot_after_success=False)
    kit.run(batch, job, "true")

    boot(batch, pool, "reimage")

    assert kit.said(batch, job, SAY).strip() == "1"


def test_a_reimaged_node_is_not_released(batch: BatchClient, pool: str) -> None:
    """Without another task of the job there is nothing to release on it."""
    job = prepared(batch, pool, "true")
    kit.run(batch, job, "true")
    boot(batch, pool, "reimage")

    kit.terminate_job(batch, job)
    wait_until(lambda: batch.get_job(job).state == "completed")

    (found,) = batch.list_job_preparation_and_release_task_status(job)
    assert found.job_release_task_execution_info is None


def test_a_reboot_gives_a_failed_preparation_another_chance(batch: BatchClient, pool: str) -> None:
    """The job's task, kept off the node until then, runs on it."""
    script = 'm="$AZ_BATCH_NODE_SHARED_DIR/m"; test -e "$m" && exit 0; touch "$m"; exit 1'
    job = prepared(batch, pool, script)
    task = kit.task_options("true")
    batch.create_task(job, task)
    status = batch.list_job_preparation_and_release_task_status
    wait_until(
        lambda: (
            [
                info.result
                for found in status(job)
                if (info := found.job_preparation_task_execution_info)
            ]
            == ["failure"]
        )
    )

    boot(batch, pool, "reboot")

    kit.reach(batch, job, str(task.id), "completed")

"""What the Batch emulator does about failing, endless and finished tasks."""

from datetime import timedelta

import pytest
from azure.batch import BatchClient, models

from tests.support.emulator import builders as kit
from tests.support.emulator.emulators import Emulator
from tests.support.processes import wait_until

COUNT = 'n="$AZ_BATCH_NODE_SHARED_DIR/n"; echo x >>"$n"; '
"""Counts the runs of a task in the node's shared folder, which its retries have in common."""


def test_a_failing_task_has_one_run_more_than_retries(batch: BatchClient, job: str) -> None:
    """With two retries it runs three times and fails with the last exit code."""
    task = kit.run(
        batch, job, kit.sh(COUNT + 'exit $(wc -l <"$n")'), constraints=kit.constraints(retries=2)
    )

    info = kit.info_of(task)
    assert (info.result, info.retry_count, info.exit_code) == ("failure", 2, 3)
    assert info.last_retry_time is not None


def test_retries_end_with_the_first_success(batch: BatchClient, job: str) -> None:
    """No failure is left then."""
    script = COUNT + 'test $(wc -l <"$n") = 2'

    info = kit.info_of(kit.run(batch, job, kit.sh(script), constraints=kit.constraints(retries=5)))

    assert (info.result, info.retry_count, info.exit_code) == ("success", 1, 0)
    assert info.failure_info is None


def test_minus_one_retries_without_end(batch: BatchClient, job: str) -> None:
    """It goes on until it succeeds."""
    script = COUNT + 'test $(wc -l <"$n") = 6'

    info = kit.info_of(kit.run(batch, job, kit.sh(script), constraints=kit.constraints(retries=-1)))

    assert (info.result, info.retry_count) == ("success", 5)


def test_each_run_begins_in_an_empty_folder(batch: BatchClient, job: str) -> None:
    """Files and output of the run before are gone."""
    script = COUNT + 'ls; touch left; test $(wc -l <"$n") = 2'

    task = kit.run(batch, job, kit.sh(script), constraints=kit.constraints(retries=1))

    assert kit.read(batch, job, str(task.id)) == ""


def test_a_command_that_cannot_start_is_not_retried(batch: BatchClient, job: str) -> None:
    """Retries are for exit codes."""
    task = kit.run(batch, job, "no-such-program", constraints=kit.constraints(retries=3))

    assert kit.info_of(task).retry_count == 0


def test_a_lost_resource_file_is_not_retried(batch: BatchClient, job: str) -> None:
    """Nor are they for files that cannot be had."""
    gone = models.ResourceFile(http_url="http://127.0.0.1:9/gone", file_path="x")

    task = kit.run(
        batch, job, "true", resource_files=[gone], constraints=kit.constraints(retries=3)
    )

    assert (kit.info_of(task).retry_count, kit.failure_code(task)) == (0, "BlobDownloadMiscError")


def test_a_wall_clock_limit_kills_the_task(batch: BatchClient, job: str) -> None:
    """It is failed with TaskEnded, and not run again."""
    limit = kit.constraints(limit_s=0.3, retries=3)

    task = kit.run(batch, job, kit.sh("echo begun; exec sleep 60"), constraints=limit)

    info = kit.info_of(task)
    assert (info.result, kit.failure_code(task), info.retry_count) == ("failure", "TaskEnded", 0)
    assert kit.read(batch, job, str(task.id)) == "begun\n"


def test_a_task_within_its_limit_succeeds(batch: BatchClient, job: str) -> None:
    """A limit that is not reached changes nothing."""
    task = kit.run(batch, job, "true", constraints=kit.constraints(limit_s=30))

    assert kit.info_of(task).result == "success"


def test_files_go_after_the_retention_time(
    batch: BatchClient, job: str, emulator: Emulator
) -> None:
    """The task stays, its folder does not, and asking for a file says why."""
    task = kit.run(batch, job, kit.sh("echo x"), constraints=kit.constraints(retention_s=0.2))
    folders = f"*/*/workitems/{job}/job-1/{task.id}"

    wait_until(lambda: not list(emulator.nodes_dir.glob(folders)))

    assert batch.get_task(job, str(task.id)).state == "completed"
    with kit.refused(409, "TaskFilesCleanedup"):
        list(batch.list_task_files(job, str(task.id)))


def test_files_stay_for_a_week_by_default(batch: BatchClient, job: str) -> None:
    """The default retention is P7D."""
    task = kit.run(batch, job, "true")

    assert task.constraints is not None
    assert task.constraints.retention_time == timedelta(days=7)
    assert kit.read(batch, job, str(task.id)) == ""


def test_a_retained_id_is_not_cleaned_for_its_successor(batch: BatchClient, job: str) -> None:
    """The retention of a deleted task says nothing about a new one of the same id."""
    kit.run(batch, job, "true", id="same", constraints=kit.constraints(retention_s=0.5))
    batch.delete_task(job, "same")

    kit.run(batch, job, kit.sh("echo mine; sleep 0.6"), id="same")

    assert kit.read(batch, job, "same") == "mine\n"


@pytest.mark.parametrize("end", ["terminate", "delete"])
def test_endless_retries_can_be_ended(batch: BatchClient, pool: str, job: str, end: str) -> None:
    """A task that is between two runs is ended like any other."""
    task = kit.a_task(batch, job, "false", constraints=kit.constraints(retries=-1))
    wait_until(lambda: kit.info_of(batch.get_task(job, task)).retry_count > 2)

    if end == "terminate":
        batch.terminate_task(job, task)
        assert kit.failure_code(kit.reach(batch, job, task, "completed")) == "TaskEnded"
    else:
        batch.delete_task(job, task)

    wait_until(lambda: kit.node_of(batch, pool).state == "idle")

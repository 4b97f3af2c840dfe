"""Exit conditions of the Batch emulator: what the end of a task does to its job."""

from typing import Any

import pytest
from azure.batch import BatchClient, models

from tests.support.emulator import builders as kit
from tests.support.processes import wait_until

NONE = models.ExitOptions(job_action="none")
DISABLE = models.ExitOptions(job_action="disable")
TERMINATE = models.ExitOptions(job_action="terminate")


@pytest.fixture
def strict_job(batch: BatchClient, pool: str) -> str:
    """A job that performs the actions of its tasks' exit conditions."""
    return kit.a_job(batch, pool, task_failure_mode="performexitoptionsjobaction")


def codes(**conditions: Any) -> models.ExitConditions:
    """Return conditions for exit codes 3 (terminate) and 4 to 6 (disable), and others."""
    return models.ExitConditions(
        exit_codes=[models.ExitCodeMapping(code=3, exit_options=TERMINATE)],
        exit_code_ranges=[models.ExitCodeRangeMapping(start=3, end=6, exit_options=DISABLE)],
        **conditions,
    )


def state_of(batch: BatchClient, job: str) -> str:
    """Return the state that a job has come to rest in."""
    moving = ("disabling", "enabling", "terminating")
    wait_until(lambda: batch.get_job(job).state not in moving)
    state: str = models.BatchJobState(batch.get_job(job).state).value
    return state


@pytest.mark.parametrize(
    ("script", "state"),
    [
        ("exit 3", "completed"),
        ("exit 4", "disabled"),
        ("exit 6", "disabled"),
        ("exit 7", "active"),
        ("exit 0", "active"),
    ],
)
def test_codes_and_ranges(batch: BatchClient, strict_job: str, script: str, state: str) -> None:
    """A code comes before a range, both before the default; ranges include their ends."""
    kit.run(batch, strict_job, kit.sh(script), exit_conditions=codes(default=NONE))

    assert state_of(batch, strict_job) == state


def test_the_default_of_defaults_ends_the_job(batch: BatchClient, strict_job: str) -> None:
    """A failure that no condition names terminates the job, with its reason."""
    waiting = kit.a_task(batch, strict_job, kit.sh("exit 1"))
    kit.reach(batch, strict_job, waiting, "completed")

    assert state_of(batch, strict_job) == "completed"
    info = batch.get_job(strict_job).execution_info
    assert info is not None
    assert info.termination_reason == "TaskFailed"


@pytest.mark.parametrize("condition", ["pre_processing_error", "default"])
def test_an_error_before_the_start(batch: BatchClient, strict_job: str, condition: str) -> None:
    """It has a condition of its own, and else the default."""
    conditions = codes(**{condition: DISABLE})

    kit.run(batch, strict_job, "no-such-program", exit_conditions=conditions)

    assert state_of(batch, strict_job) == "disabled"


@pytest.mark.parametrize(("code", "state"), [(0, "disabled"), (3, "completed")])
def test_an_upload_error(batch: BatchClient, strict_job: str, code: int, state: str) -> None:
    """It has a condition of its own, but that of a listed exit code comes first."""
    output = models.OutputFile(
        file_pattern="nothing",
        destination=models.OutputFileDestination(
            container=models.OutputFileBlobContainerDestination(
                container_url="http://127.0.0.1:9/container"
            )
        ),
        upload_options=models.OutputFileUploadConfiguration(upload_condition="taskcompletion"),
    )
    conditions = codes(file_upload_error=DISABLE, default=NONE)

    kit.run(
        batch,
        strict_job,
        kit.sh(f"exit {code}"),
        output_files=[output],
        exit_conditions=conditions,
    )

    assert state_of(batch, strict_job) == state


def test_a_retry_is_no_end(batch: BatchClient, strict_job: str) -> None:
    """Conditions are for the last run: one that is retried disables nothing."""
    script = 'n="$AZ_BATCH_NODE_SHARED_DIR/n"; test -e "$n" && exit 0; touch "$n"; exit 4'
    retry = models.BatchTaskConstraints(max_task_retry_count=1)

    task = kit.run(batch, strict_job, kit.sh(script), constraints=retry, exit_conditions=codes())

    assert kit.info_of(task).retry_count == 1
    assert state_of(batch, strict_job) == "active"


def test_the_automatic_end_comes_before_disable(batch: BatchClient, pool: str) -> None:
    """The last task's failure ends a job that ends with its tasks, whatever its condition says."""
    job = kit.a_job(batch, pool, task_failure_mode="performexitoptionsjobaction")
    task = kit.a_task(batch, job, kit.sh("sleep 0.2; exit 4"), exit_conditions=codes())
    options = models.BatchJobUpdateOptions(all_tasks_complete_mode="terminatejob")
    batch.update_job(job, options)

    kit.reach(batch, job, task, "completed")

    assert state_of(batch, job) == "completed"


def test_without_the_mode_failures_leave_the_job_alone(batch: BatchClient, job: str) -> None:
    """By default a job takes no notice of failures."""
    kit.run(batch, job, "false")

    assert batch.get_job(job).state == "active"


def test_a_job_action_needs_the_mode(batch: BatchClient) -> None:
    """A job that performs no actions refuses tasks that ask for one."""
    job = kit.a_job(batch, "no-such-pool")
    with kit.refused(400, "InvalidPropertyValue"):
        kit.a_task(batch, job, exit_conditions=models.ExitConditions(default=NONE))
    with kit.refused(400, "InvalidPropertyValue"):
        kit.a_task(batch, job, exit_conditions=codes())


def test_conditions_are_kept(batch: BatchClient, strict_job: str) -> None:
    """What was given reads back."""
    task = batch.get_task(strict_job, kit.a_task(batch, strict_job, exit_conditions=codes()))

    assert task.exit_conditions is not None
    assert task.exit_conditions.exit_code_ranges is not None
    assert task.exit_conditions.exit_code_ranges[0].end == 6

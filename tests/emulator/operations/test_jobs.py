"""Jobs of the Batch emulator: writes, counts, limits, and their end."""

from datetime import timedelta

import pytest
from azure.batch import BatchClient, models

from tests.support.emulator import builders as kit
from tests.support.emulator.emulators import Emulator
from tests.support.processes import wait_until


def job_info(batch: BatchClient, job_id: str) -> models.BatchJobExecutionInfo:
    """Return what is known of a job's execution."""
    info = batch.get_job(job_id).execution_info
    assert info is not None
    return info


def completed(batch: BatchClient, job_id: str) -> models.BatchJobExecutionInfo:
    """Wait until a job is completed and return what is known of it."""
    wait_until(lambda: batch.get_job(job_id).state == "completed")
    return job_info(batch, job_id)


def end_when_done(batch: BatchClient, job_id: str) -> None:
    """Ask for the end of a job once all its tasks are completed."""
    options = models.BatchJobUpdateOptions(all_tasks_complete_mode="terminatejob")
    batch.update_job(job_id, options)


def test_create_fills_in_the_defaults(batch: BatchClient) -> None:
    """What the client did not say reads as the service's default."""
    job = batch.get_job(kit.a_job(batch, "some-pool")).as_dict()

    defaults = {
        "state": "active",
        "priority": 0,
        "usesTaskDependencies": False,
        "onAllTasksComplete": "noaction",
        "onTaskFailure": "noaction",
        "constraints": {"maxWallClockTime": "P10675199DT2H48M5.4775807S", "maxTaskRetryCount": 0},
    }
    assert defaults.items() <= job.items()
    assert job["executionInfo"]["poolId"] == "some-pool"


def test_ids_are_unique_whatever_their_case(batch: BatchClient) -> None:
    """A job is found by, and collides with, its id in another case."""
    job_id = kit.a_job(batch, "some-pool")

    assert batch.get_job(job_id.upper()).id == job_id
    with kit.refused(409, "JobExists"):
        kit.a_job(batch, "some-pool", id=job_id.upper())


def test_get_of_a_missing_job(batch: BatchClient) -> None:
    """The error says that the job is missing."""
    with kit.refused(404, "JobNotFound"):
        batch.get_job("nowhere")


def test_a_job_needs_a_pool(batch: BatchClient) -> None:
    """No pool at all is an error."""
    with kit.refused(400, "InvalidPropertyValue"):
        kit.a_job(batch, "", pool_info=models.BatchPoolInfo())


@pytest.mark.parametrize(
    "options",
    [
        {"allow_task_preemption": True},
        {"network_configuration": models.BatchJobNetworkConfiguration(subnet_id="x")},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_is_missing_is_refused(batch: BatchClient, options: dict[str, object]) -> None:
    """Features that the emulator does not have are a 501, never ignored."""
    with kit.refused(501, "NotImplementedByEmulator"):
        kit.a_job(batch, "some-pool", **options)


def test_parallel_tasks_cannot_be_none_at_all(batch: BatchClient) -> None:
    """MaxParallelTasks is -1 or more than 0."""
    with kit.refused(400, "InvalidPropertyValue"):
        kit.a_job(batch, "some-pool", max_parallel_tasks=0)


def test_update_replaces_only_what_is_given(batch: BatchClient) -> None:
    """A patch of the priority leaves the metadata alone."""
    metadata = [models.BatchMetadataItem(name="a", value="1")]
    job_id = kit.a_job(batch, "some-pool", metadata=metadata)

    batch.update_job(job_id, models.BatchJobUpdateOptions(priority=5))

    job = batch.get_job(job_id)
    assert (job.priority, len(job.metadata or [])) == (5, 1)


def test_replace_falls_back_to_the_defaults(batch: BatchClient) -> None:
    """What a put does not give is reset, and what cannot change stays."""
    job_id = kit.a_job(batch, "some-pool", priority=5, display_name="mine")
    job = batch.get_job(job_id)
    job.priority = None

    batch.replace_job(job_id, job)

    job = batch.get_job(job_id)
    assert (job.priority, job.display_name) == (0, "mine")


def test_the_pool_of_an_active_job_is_fixed(batch: BatchClient) -> None:
    """Only a disabled job could move to another pool."""
    job_id = kit.a_job(batch, "some-pool")
    other = models.BatchJobUpdateOptions(pool_info=models.BatchPoolInfo(pool_id="other"))
    with kit.refused(409, "OperationInvalidForCurrentState"):
        batch.update_job(job_id, other)


def test_common_environment_reaches_tasks(batch: BatchClient, pool: str) -> None:
    """A job's settings are seen by its tasks, whose own come first."""
    common = [
        models.EnvironmentSetting(name="A", value="job"),
        models.EnvironmentSetting(name="B", value="job"),
    ]
    job_id = kit.a_job(batch, pool, common_environment_settings=common)

    own = [models.EnvironmentSetting(name="B", value="task")]
    heard = kit.said(batch, job_id, "echo $A $B", environment_settings=own)

    assert heard == "job task\n"


def test_counts_tell_states_and_results(batch: BatchClient, job: str) -> None:
    """Completed tasks count as succeeded or failed; slots are counted too."""
    kit.run(batch, job, "true")
    kit.run(batch, job, "false")
    kit.reach(batch, job, kit.a_task(batch, job, kit.sh("exec sleep 60")), "running")
    kit.a_task(batch, job)

    result = batch.get_job_task_counts(job)

    counts = result.task_counts
    assert (counts.active, counts.running, counts.completed) == (1, 1, 2)
    assert (counts.succeeded, counts.failed) == (1, 1)
    assert result.task_slot_counts.completed == 2


def test_counts_forget_deleted_tasks(batch: BatchClient, job: str) -> None:
    """A deleted task counts no more."""
    task = kit.run(batch, job, "true")

    batch.delete_task(job, str(task.id))

    assert batch.get_job_task_counts(job).task_counts.completed == 0


def test_parallel_tasks_are_limited(batch: BatchClient, pool: str) -> None:
    """With maxParallelTasks 1 the second task waits though a node could run it."""
    resize = models.BatchPoolResizeOptions(target_dedicated_nodes=2)
    batch.begin_resize_pool(pool, resize, polling_interval=1)
    wait_until(lambda: [n.state for n in batch.list_nodes(pool)] == ["idle", "idle"])
    job_id = kit.a_job(batch, pool, max_parallel_tasks=1)

    first, second = (kit.a_task(batch, job_id, kit.sh("exec sleep 60")) for _ in range(2))

    kit.reach(batch, job_id, first, "running")
    assert batch.get_task(job_id, second).state == "active"


def test_higher_priority_goes_first(batch: BatchClient, pool: str, job: str) -> None:
    """When a slot is free, the job of higher priority gets it."""
    blocker = kit.a_task(batch, job, kit.sh("exec sleep 60"))
    kit.reach(batch, job, blocker, "running")
    low, high = (kit.a_job(batch, pool, priority=priority) for priority in (-1, 1))
    waiting = kit.a_task(batch, low, kit.sh("exec sleep 60"))
    urgent = kit.a_task(batch, high, kit.sh("exec sleep 60"))

    batch.terminate_task(job, blocker)

    kit.reach(batch, high, urgent, "running")
    assert batch.get_task(low, waiting).state == "active"


def test_an_empty_job_that_ends_with_its_tasks_ends_at_once(batch: BatchClient) -> None:
    """All of no tasks are completed."""
    job_id = kit.a_job(batch, "some-pool", all_tasks_complete_mode="terminatejob")

    assert completed(batch, job_id).termination_reason == "AllTasksComplete"


def test_a_job_ends_with_its_last_task(batch: BatchClient, job: str) -> None:
    """Set while tasks run, the end comes with the last of them, whatever its result."""
    task = kit.a_task(batch, job, kit.sh("sleep 0.2; exit 1"))
    end_when_done(batch, job)
    assert batch.get_job(job).state == "active"

    info = completed(batch, job)

    assert info.termination_reason == "AllTasksComplete"
    assert kit.failure_code(batch.get_task(job, task)) == "FailureExitCode"


def test_terminate_ends_running_tasks(batch: BatchClient, emulator: Emulator, job: str) -> None:
    """They are completed with TaskEnded, and the job has the reason."""
    task = kit.a_task(batch, job, kit.sh("exec sleep 64"))
    kit.reach(batch, job, task, "running")

    kit.terminate_job(batch, job, "enough")

    assert completed(batch, job).termination_reason == "enough"
    assert kit.failure_code(batch.get_task(job, task)) == "TaskEnded"
    assert not emulator.task_pids("sleep 64")


def test_terminate_without_a_reason(batch: BatchClient, job: str) -> None:
    """The user's wish is the reason."""
    kit.terminate_job(batch, job)

    assert completed(batch, job).termination_reason == "UserTerminate"


def test_active_tasks_of_a_terminated_job_stay_active(batch: BatchClient, job: str) -> None:
    """They never run: completed jobs start nothing."""
    kit.reach(batch, job, kit.a_task(batch, job, kit.sh("exec sleep 60")), "running")
    waiting = kit.a_task(batch, job)

    kit.terminate_job(batch, job)
    completed(batch, job)

    assert batch.get_task(job, waiting).state == "active"


def test_a_completed_job_takes_nothing(batch: BatchClient, job: str) -> None:
    """Neither tasks, nor changes, nor a second end."""
    kit.terminate_job(batch, job)
    completed(batch, job)

    for write in (
        lambda: kit.a_task(batch, job),
        lambda: batch.update_job(job, models.BatchJobUpdateOptions(priority=1)),
        lambda: kit.terminate_job(batch, job),
    ):
        with kit.refused(409, "JobCompleted"):
            write()


def test_a_wall_clock_limit_ends_the_job(batch: BatchClient, pool: str) -> None:
    """The limit counts from the creation of the job, and kills what runs."""
    limit = models.BatchJobConstraints(max_wall_clock_time=timedelta(seconds=1))
    job_id = kit.a_job(batch, pool, constraints=limit)
    task = kit.a_task(batch, job_id, kit.sh("exec sleep 60"))

    assert completed(batch, job_id).termination_reason == "MaxWallClockTimeExpiry"

    assert kit.failure_code(batch.get_task(job_id, task)) == "TaskEnded"


def test_a_wall_clock_limit_can_be_taken_back(batch: BatchClient, pool: str) -> None:
    """A job whose limit was raised in time outlives the first one."""
    limits = [models.BatchJobConstraints(max_wall_clock_time=timedelta(seconds=s)) for s in (1, 99)]
    job_id = kit.a_job(batch, pool, constraints=limits[0])
    batch.update_job(job_id, models.BatchJobUpdateOptions(constraints=limits[1]))

    task = kit.run(batch, job_id, kit.sh("sleep 1.2"))

    assert task.execution_info is not None
    assert task.execution_info.result == "success"


def test_delete_takes_tasks_and_folders_away(
    batch: BatchClient, emulator: Emulator, job: str
) -> None:
    """Nothing of the job is left on its node."""
    task = kit.reach(batch, job, kit.a_task(batch, job, kit.sh("exec sleep 65")), "running")
    assert task.node_info is not None
    root = next(emulator.nodes_dir.glob("*/tvmps_*"))
    assert (root / str(task.node_info.task_root_directory)).is_dir()

    kit.delete_job(batch, job)

    assert not emulator.task_pids("sleep 65")
    wait_until(lambda: not list((root / "workitems").glob(f"{job}/job-1/*")))


def test_delete_while_a_task_is_run_again_and_again(batch: BatchClient, job: str) -> None:
    """Endless retries do not outlive their job."""
    retry = models.BatchTaskConstraints(max_task_retry_count=-1)
    task = kit.a_task(batch, job, "false", constraints=retry)
    wait_until(lambda: kit.info_of(batch.get_task(job, task)).retry_count > 2)

    kit.delete_job(batch, job)

    with kit.refused(404, "JobNotFound"):
        batch.get_task(job, task)


def test_a_job_of_the_same_id_can_follow(batch: BatchClient, pool: str, job: str) -> None:
    """A new job of an old id knows nothing of the old one's tasks."""
    kit.run(batch, job, kit.sh("touch left"), id="same")
    kit.delete_job(batch, job)

    kit.a_job(batch, pool, id=job)

    assert not list(batch.list_tasks(job))
    assert kit.said(batch, job, "ls", id="same") == ""

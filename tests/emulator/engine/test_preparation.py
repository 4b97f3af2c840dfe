"""Job preparation and release tasks of the Batch emulator."""

from typing import Any

import pytest
from azure.batch import BatchClient, models

from tests.support.emulator import builders as kit
from tests.support.emulator.emulators import Emulator
from tests.support.emulator.raw_http import VERSION, ask
from tests.support.emulator.wire_description import violations
from tests.support.processes import wait_until


def preparation(script: str, **options: Any) -> models.BatchJobPreparationTask:
    """Return a preparation task that runs a shell script."""
    return models.BatchJobPreparationTask(command_line=kit.sh(script), **options)


def release(script: str, **options: Any) -> models.BatchJobReleaseTask:
    """Return a release task that runs a shell script."""
    return models.BatchJobReleaseTask(command_line=kit.sh(script), **options)


def prepared(
    batch: BatchClient, pool: str, script: str, after: str = "true", **options: Any
) -> str:
    """Create a job with a preparation and a release task, and return its id."""
    return kit.a_job(
        batch,
        pool,
        job_preparation_task=preparation(script, **options),
        job_release_task=release(after),
    )


def status(batch: BatchClient, job: str) -> list[models.BatchJobPreparationAndReleaseTaskStatus]:
    """Return how preparation and release went, node by node."""
    return list(batch.list_job_preparation_and_release_task_status(job))


def preparation_of(
    batch: BatchClient, job: str
) -> models.BatchJobPreparationTaskExecutionInfo | None:
    """Return how the preparation of a job went on its only node; None before it began."""
    found = status(batch, job)
    return found[0].job_preparation_task_execution_info if found else None


def release_of(batch: BatchClient, job: str) -> models.BatchJobReleaseTaskExecutionInfo | None:
    """Return how the release of a job went on its only node."""
    return status(batch, job)[0].job_release_task_execution_info


def complete(batch: BatchClient, job: str) -> None:
    """Terminate a job and wait for its end."""
    kit.terminate_job(batch, job)
    wait_until(lambda: batch.get_job(job).state == "completed")


COUNT = 'echo x >>"$AZ_BATCH_NODE_SHARED_DIR/n"; '


def test_once_for_each_node_before_the_first_task(batch: BatchClient) -> None:
    """Tasks that come at once wait for the one preparation, later ones find it done."""
    job = prepared(batch, kit.a_pool(batch, task_slots_per_node=4), COUNT + "sleep 0.2")

    tasks = [
        kit.a_task(batch, job, kit.sh('wc -l <"$AZ_BATCH_NODE_SHARED_DIR/n"')) for _ in range(3)
    ]
    kit.reach(batch, job, tasks[0], "preparing")
    for task in tasks:
        kit.reach(batch, job, task, "completed")

    assert kit.said(batch, job, 'wc -l <"$AZ_BATCH_NODE_SHARED_DIR/n"').strip() == "1"


def test_tasks_know_the_folder_of_the_preparation(batch: BatchClient, pool: str) -> None:
    """What it left in its working directory is there for them."""
    job = prepared(batch, pool, "echo hello >x")

    heard = kit.said(
        batch, job, 'cat "$AZ_BATCH_JOB_PREP_WORKING_DIR/x"; cd "$AZ_BATCH_JOB_PREP_DIR"'
    )

    assert heard == "hello\n"


def test_its_environment(batch: BatchClient, pool: str) -> None:
    """It has the job's id and its own, and no folder of another preparation."""
    job = prepared(batch, pool, 'env >"$AZ_BATCH_NODE_SHARED_DIR/env"')

    seen = kit.said(batch, job, 'cat "$AZ_BATCH_NODE_SHARED_DIR/env"')

    assert f"AZ_BATCH_JOB_ID={job}\n" in seen
    assert "AZ_BATCH_TASK_ID=jobpreparation\n" in seen
    assert "AZ_BATCH_JOB_PREP_DIR" not in seen


def test_the_status_of_a_success(batch: BatchClient, pool: str) -> None:
    """Node, folder, times and exit code are reported."""
    job = prepared(batch, pool, "true")
    assert status(batch, job) == []
    kit.run(batch, job, "true")

    (found,) = status(batch, job)

    node, info = kit.node_of(batch, pool), found.job_preparation_task_execution_info
    assert (found.pool_id, found.node_id, found.node_url) == (pool, node.id, node.url)
    assert info is not None
    assert (info.state, info.result, info.exit_code) == ("completed", "success", 0)
    assert info.task_root_directory == f"workitems/{job}/job-1/jobpreparation"
    assert found.job_release_task_execution_info is None


def test_a_failed_preparation_keeps_the_job_off_the_node(batch: BatchClient, pool: str) -> None:
    """Its task is active again, without a retry or a requeue; other jobs go on there."""
    job = prepared(batch, pool, COUNT + "exit 3", constraints=kit.constraints(retries=2))
    task = kit.a_task(batch, job)

    wait_until(lambda: (info := preparation_of(batch, job)) and info.state == "completed")
    found = kit.reach(batch, job, task, "active")
    other = kit.said(batch, kit.a_job(batch, pool), 'wc -l <"$AZ_BATCH_NODE_SHARED_DIR/n"')

    info = preparation_of(batch, job)
    assert info is not None
    assert (info.result, info.exit_code, info.retry_count) == ("failure", 3, 2)
    assert (kit.info_of(found).retry_count, kit.info_of(found).requeue_count) == (0, 0)
    assert other.strip() == "3"
    assert batch.get_task(job, task).state == "active"


def test_another_node_takes_the_task(batch: BatchClient) -> None:
    """A task whose first node could not be prepared runs on the second."""
    pool = kit.a_pool(batch, target_dedicated_nodes=2)
    good = next(str(node.id) for node in batch.list_nodes(pool))
    job = prepared(batch, pool, f'test "$AZ_BATCH_NODE_ID" = {good}')

    tasks = [kit.a_task(batch, job) for _ in range(4)]

    for task in tasks:
        found = kit.reach(batch, job, task, "completed")
        assert found.node_info is not None
        assert found.node_info.node_id == good


def test_tasks_need_not_wait_for_it(batch: BatchClient, pool: str) -> None:
    """Without waitForSuccess they start beside it, and it may fail."""
    go = '"$AZ_BATCH_NODE_SHARED_DIR/go"'
    script = f"until test -e {go}; do sleep 0.02; done; exit 1"
    job = prepared(batch, pool, script, wait_for_success=False)

    kit.run(batch, job, "true")
    info = preparation_of(batch, job)
    assert info is not None
    assert info.state == "running"
    kit.run(batch, job, kit.sh(f"touch {go}"))

    wait_until(lambda: (info := preparation_of(batch, job)) and info.result == "failure")
    assert kit.info_of(kit.run(batch, job, "true")).result == "success"


def test_a_preparation_ends_with_its_job(batch: BatchClient, emulator: Emulator, pool: str) -> None:
    """Its process is killed, it counts as ended, and there is nothing to release."""
    job = prepared(batch, pool, "exec sleep 67")
    task = kit.a_task(batch, job)
    wait_until(lambda: emulator.task_pids("sleep 67"))
    assert batch.get_task(job, task).state == "preparing"

    complete(batch, job)

    info = preparation_of(batch, job)
    assert not emulator.task_pids("sleep 67")
    assert info is not None
    assert info.failure_info is not None
    assert (info.state, info.failure_info.code) == ("completed", "TaskEnded")
    assert release_of(batch, job) is None


def test_a_preparation_ends_with_its_node(batch: BatchClient, emulator: Emulator) -> None:
    """A node that leaves takes its preparation along, and its task is requeued."""
    pool = kit.a_pool(batch)
    job = prepared(batch, pool, "exec sleep 68")
    task = kit.a_task(batch, job)
    wait_until(lambda: emulator.task_pids("sleep 68"))

    resize = models.BatchPoolResizeOptions(target_dedicated_nodes=0)
    batch.begin_resize_pool(pool, resize, polling_interval=1)

    wait_until(lambda: not list(batch.list_nodes(pool)))
    assert not emulator.task_pids("sleep 68")
    assert kit.info_of(batch.get_task(job, task)).requeue_count == 1


def test_a_preparation_goes_on_without_its_task(batch: BatchClient, pool: str) -> None:
    """The task that caused it may be ended; the next one finds the node prepared."""
    job = prepared(batch, pool, COUNT + "sleep 0.3")
    task = kit.a_task(batch, job)
    wait_until(lambda: preparation_of(batch, job))
    batch.terminate_task(job, task)

    assert kit.said(batch, job, 'wc -l <"$AZ_BATCH_NODE_SHARED_DIR/n"').strip() == "1"


def test_release_on_the_nodes_that_were_prepared(batch: BatchClient) -> None:
    """It runs once there, before the job is completed, and nowhere else."""
    pool = kit.a_pool(batch, target_dedicated_nodes=2)
    job = prepared(batch, pool, "true", 'echo bye; test -d "$AZ_BATCH_JOB_PREP_DIR"; exit $?')
    node_id = str(kit.run(batch, job, "true").node_info.node_id)  # type: ignore[union-attr]

    complete(batch, job)

    (found,) = status(batch, job)
    info = found.job_release_task_execution_info
    assert found.node_id == node_id
    assert info is not None
    assert (info.state, info.result, info.exit_code) == ("completed", "success", 0)
    path = f"{info.task_root_directory}/stdout.txt"
    assert b"".join(batch.download_node_file(pool, node_id, path)) == b"bye\n"


def test_a_failed_release_does_not_keep_the_job(batch: BatchClient, pool: str) -> None:
    """The job is completed, and the failure is reported."""
    job = prepared(batch, pool, "true", "exit 5")
    kit.run(batch, job, "true")

    complete(batch, job)

    info = release_of(batch, job)
    assert info is not None
    assert (info.result, info.exit_code) == ("failure", 5)


def test_a_release_has_its_limit(batch: BatchClient, pool: str) -> None:
    """It is killed then, and the job is completed."""
    job = kit.a_job(
        batch,
        pool,
        job_preparation_task=preparation("true"),
        job_release_task=release("exec sleep 60", max_wall_clock_time="PT0.3S"),
    )
    kit.run(batch, job, "true")

    complete(batch, job)

    info = release_of(batch, job)
    assert info is not None
    assert info.failure_info is not None
    assert info.failure_info.code == "TaskEnded"


def test_deletion_releases_and_removes_the_folders(
    batch: BatchClient, emulator: Emulator, pool: str
) -> None:
    """A job that is deleted while it is active runs its release task first."""
    job = prepared(batch, pool, "true", COUNT)
    kit.run(batch, job, "true")

    kit.delete_job(batch, job)

    assert kit.said(batch, kit.a_job(batch, pool), 'cat "$AZ_BATCH_NODE_SHARED_DIR/n"') == "x\n"
    wait_until(lambda: not list(emulator.nodes_dir.glob(f"*/*/workitems/{job}")))


def test_a_completed_job_releases_only_once(batch: BatchClient, pool: str) -> None:
    """Its deletion runs nothing again."""
    job = prepared(batch, pool, "true", COUNT)
    kit.run(batch, job, "true")
    complete(batch, job)

    kit.delete_job(batch, job)

    assert kit.said(batch, kit.a_job(batch, pool), 'cat "$AZ_BATCH_NODE_SHARED_DIR/n"') == "x\n"


def test_the_defaults(batch: BatchClient) -> None:
    """What the client did not say reads as the service's default."""
    job = batch.get_job(prepared(batch, "some-pool", "true")).as_dict()

    before, after = job["jobPreparationTask"], job["jobReleaseTask"]
    assert (before["id"], after["id"]) == ("jobpreparation", "jobrelease")
    assert (before["waitForSuccess"], before["rerunOnNodeRebootAfterSuccess"]) == (True, True)
    assert before["constraints"]["maxTaskRetryCount"] == 0
    assert (after["maxWallClockTime"], after["retentionTime"]) == ("PT15M", "P7D")


@pytest.mark.parametrize(
    ("task_id", "code"),
    [
        ("JobPreparation", "TaskIdSameAsJobPreparationTask"),
        ("mine", "TaskIdSameAsJobReleaseTask"),
    ],
)
def test_their_ids_are_taken(batch: BatchClient, task_id: str, code: str) -> None:
    """No task of the job can have them, whatever their case."""
    job = kit.a_job(
        batch,
        "some-pool",
        job_preparation_task=preparation("true"),
        job_release_task=release("true", id="mine"),
    )
    with kit.refused(409, code):
        kit.a_task(batch, job, id=task_id)


@pytest.mark.parametrize(
    "options",
    [
        {"job_release_task": release("true")},
        {
            "job_preparation_task": preparation("true"),
            "job_release_task": release("true", max_wall_clock_time="PT16M"),
        },
    ],
    ids=["no preparation", "too long"],
)
def test_a_bad_release_task(batch: BatchClient, options: dict[str, Any]) -> None:
    """It needs a preparation task, and has a quarter of an hour at most."""
    with kit.refused(400, "InvalidPropertyValue"):
        kit.a_job(batch, "some-pool", **options)


def test_the_status_needs_a_preparation_task(batch: BatchClient, job: str) -> None:
    """A job without one has no status to list."""
    with kit.refused(409, "JobPreparationTaskNotSpecified"):
        status(batch, job)


def test_the_answer_follows_the_description(
    batch: BatchClient, emulator: Emulator, pool: str
) -> None:
    """Every member of it is known to the SDK and of its type."""
    job = prepared(batch, pool, "true", "exit 1")
    kit.run(batch, job, "true")
    complete(batch, job)
    path = f"/jobs/{job}/jobpreparationandreleasetaskstatus"

    answer = ask(emulator, "GET", f"{path}?{VERSION}")

    value = answer.json["value"]
    assert list(violations(value, list[models.BatchJobPreparationAndReleaseTaskStatus])) == []


def test_the_job_follows_the_description(batch: BatchClient, emulator: Emulator) -> None:
    """With all its parts it reads as the SDK's model has it."""
    job = kit.a_job(
        batch,
        "some-pool",
        job_preparation_task=preparation("true"),
        job_release_task=release("true"),
        job_manager_task=models.BatchJobManagerTask(id="manager", command_line="true"),
        task_failure_mode="performexitoptionsjobaction",
        uses_task_dependencies=True,
    )

    answer = ask(emulator, "GET", f"/jobs/{job}?{VERSION}")

    value = {name: item for name, item in answer.json.items() if not name.startswith("odata.")}
    assert list(violations(value, models.BatchJob)) == []

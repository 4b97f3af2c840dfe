"""Tasks of the Batch emulator that depend on others."""

import pytest
from azure.batch import BatchClient, models

from tests.support.emulator import builders as kit


@pytest.fixture
def dependent_job(batch: BatchClient, pool: str) -> str:
    """A job whose tasks may depend on each other."""
    return kit.a_job(batch, pool, uses_task_dependencies=True)


def on(*task_ids: str) -> models.BatchTaskDependencies:
    """Return a dependency on tasks."""
    return models.BatchTaskDependencies(task_ids=list(task_ids))


def on_range(*bounds: int) -> models.BatchTaskDependencies:
    """Return a dependency on tasks whose ids are numbers."""
    pairs = zip(bounds[::2], bounds[1::2], strict=True)
    ranges = [models.BatchTaskIdRange(start=start, end=end) for start, end in pairs]
    return models.BatchTaskDependencies(task_id_ranges=ranges)


def started(batch: BatchClient, job: str, *task_ids: str) -> list[str]:
    """Return tasks in the order in which they started."""
    tasks = [kit.reach(batch, job, task_id, "completed") for task_id in task_ids]
    return [
        str(task.id) for task in sorted(tasks, key=lambda task: str(kit.info_of(task).start_time))
    ]


def test_a_task_waits_for_those_it_depends_on(batch: BatchClient, dependent_job: str) -> None:
    """Added first, it runs last; ids of any case will do, and those of tasks still to come."""
    kit.a_task(batch, dependent_job, id="last", depends_on=on("A", "b"))
    kit.a_task(batch, dependent_job, id="b")
    assert batch.get_task(dependent_job, "last").state == "active"

    kit.a_task(batch, dependent_job, id="a")

    assert started(batch, dependent_job, "a", "b", "last")[-1] == "last"


def test_ranges_of_ids(batch: BatchClient, dependent_job: str) -> None:
    """Every task of both ranges comes before, ends included; a long range costs nothing."""
    kit.a_task(batch, dependent_job, id="after", depends_on=on_range(1, 3, 7, 7))
    kit.a_task(batch, dependent_job, id="never", depends_on=on_range(1, 2**31 - 1))
    ids = ["3", "7", "1", "2"]
    batch.create_tasks(dependent_job, [kit.task_options(id=task_id) for task_id in ids])

    assert started(batch, dependent_job, *ids, "after")[-1] == "after"
    assert batch.get_task(dependent_job, "never").state == "active"


def test_a_dependency_that_is_there_already(batch: BatchClient, dependent_job: str) -> None:
    """A task that depends on a success of the past runs at once."""
    kit.run(batch, dependent_job, "true", id="past")

    task = kit.run(batch, dependent_job, "true", depends_on=on("past"))

    assert kit.info_of(task).result == "success"


def test_a_failure_blocks(batch: BatchClient, dependent_job: str) -> None:
    """What depends on it stays active; what does not depend on it runs."""
    kit.a_task(batch, dependent_job, id="blocked", depends_on=on("bad"))
    kit.run(batch, dependent_job, "false", id="bad")

    kit.run(batch, dependent_job, "true")

    assert batch.get_task(dependent_job, "blocked").state == "active"


def test_a_failure_may_satisfy(batch: BatchClient, dependent_job: str) -> None:
    """An exit condition of the failed task lets the others go on."""
    satisfy = models.ExitOptions(dependency_action="satisfy")
    conditions = models.ExitConditions(default=satisfy)
    kit.a_task(batch, dependent_job, id="after", depends_on=on("bad"))

    kit.run(batch, dependent_job, "false", id="bad", exit_conditions=conditions)

    kit.reach(batch, dependent_job, "after", "completed")


def test_a_success_may_block(batch: BatchClient, dependent_job: str) -> None:
    """Exit code 0 can be listed like any other."""
    block = models.ExitOptions(dependency_action="block")
    conditions = models.ExitConditions(
        exit_codes=[models.ExitCodeMapping(code=0, exit_options=block)]
    )
    kit.a_task(batch, dependent_job, id="blocked", depends_on=on("good"))

    kit.run(batch, dependent_job, "true", id="good", exit_conditions=conditions)
    kit.run(batch, dependent_job, "true")

    assert batch.get_task(dependent_job, "blocked").state == "active"


def test_a_second_life_of_a_failed_dependency(batch: BatchClient, dependent_job: str) -> None:
    """When it succeeds after its reactivation, what waited for it runs."""
    script = 'test -e "$AZ_BATCH_NODE_SHARED_DIR/go"'
    kit.a_task(batch, dependent_job, id="after", depends_on=on("first"))
    kit.run(batch, dependent_job, kit.sh(script), id="first")
    kit.run(batch, dependent_job, kit.sh('touch "$AZ_BATCH_NODE_SHARED_DIR/go"'))

    batch.reactivate_task(dependent_job, "first")

    kit.reach(batch, dependent_job, "after", "completed")


def test_a_dependent_is_retried_like_any_task(batch: BatchClient, dependent_job: str) -> None:
    """Its dependencies were satisfied once; a retry does not wait for them again."""
    kit.run(batch, dependent_job, "true", id="first")

    task = kit.run(
        batch,
        dependent_job,
        "false",
        depends_on=on("first"),
        constraints=kit.constraints(retries=2),
    )

    assert kit.info_of(task).retry_count == 2


def test_a_waiting_task_can_be_deleted_and_come_again(
    batch: BatchClient, dependent_job: str
) -> None:
    """Nothing is left of its first life: the new one does not wait."""
    kit.a_task(batch, dependent_job, id="same", depends_on=on("never"))
    batch.delete_task(dependent_job, "same")

    kit.run(batch, dependent_job, "true", id="same")

    kit.a_task(batch, dependent_job, id="never")
    kit.reach(batch, dependent_job, "never", "completed")


def test_a_job_with_waiting_tasks_can_be_deleted(batch: BatchClient, dependent_job: str) -> None:
    """Waiting tasks go with their job, and a new job of its id knows nothing of them."""
    kit.a_task(batch, dependent_job, id="waits", depends_on=on("x"))
    kit.delete_job(batch, dependent_job)

    with kit.refused(404, "JobNotFound"):
        batch.get_task(dependent_job, "waits")


def test_a_chain_of_many(batch: BatchClient, dependent_job: str) -> None:
    """Each of 60 tasks, added in the wrong order, waits for the one before."""
    tasks = [
        kit.task_options(id=str(number), depends_on=on_range(number - 1, number - 1))
        for number in range(60, 0, -1)
    ]
    batch.create_tasks(dependent_job, [*tasks, kit.task_options(id="0")])

    kit.reach(batch, dependent_job, "60", "completed")

    assert batch.get_job_task_counts(dependent_job).task_counts.succeeded == 61


def test_dependencies_need_a_job_that_uses_them(batch: BatchClient) -> None:
    """A job says at its creation whether its tasks depend on each other."""
    job = kit.a_job(batch, "no-such-pool")
    with kit.refused(400, "TaskDependenciesNotSpecifiedOnJob"):
        kit.a_task(batch, job, depends_on=on("x"))


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (on(*(f"{number:064}" for number in range(1001))), "TaskDependencyListTooLong"),
        (on_range(*range(10000, 26000)), "TaskDependencyRangesTooLong"),
        (on_range(2, 1), "InvalidPropertyValue"),
        (on("no id"), "InvalidPropertyValue"),
    ],
    ids=["ids", "ranges", "backwards", "bad id"],
)
def test_bad_dependencies(
    batch: BatchClient, given: models.BatchTaskDependencies, code: str
) -> None:
    """Lists have their limits, ranges their direction, ids their letters."""
    job = kit.a_job(batch, "no-such-pool", uses_task_dependencies=True)
    with kit.refused(400, code):
        kit.a_task(batch, job, depends_on=given)

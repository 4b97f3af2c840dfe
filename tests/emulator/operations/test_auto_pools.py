"""Jobs of the Batch emulator with a pool of their own, and with a job manager task."""

import re
from typing import Any

import pytest
from azure.batch import BatchClient, models

from tests.support.emulator import builders as kit
from tests.support.processes import wait_until


def auto_pool(**options: Any) -> models.BatchPoolInfo:
    """Return what makes a pool of one small node for a job."""
    pool: dict[str, Any] = {"vm_size": "standard_d2s_v5", "target_dedicated_nodes": 1}
    pool |= {"virtual_machine_configuration": kit.IMAGE} | options.pop("pool", {})
    given = {"pool_lifetime_option": "job", "pool": models.BatchPoolSpecification(**pool)}
    return models.BatchPoolInfo(
        auto_pool_specification=models.BatchAutoPoolSpecification(**given | options)
    )


def auto_pool_of(batch: BatchClient, job: str) -> str:
    """Return the id of a job's pool."""
    info = batch.get_job(job).execution_info
    assert info is not None
    return str(info.pool_id)


def pool_ids(batch: BatchClient) -> set[str]:
    """Return the ids of all pools."""
    return {str(pool.id) for pool in batch.list_pools()}


def completed(batch: BatchClient, job: str) -> models.BatchJobExecutionInfo:
    """Wait until a job is completed and return what is known of it."""
    wait_until(lambda: batch.get_job(job).state == "completed")
    info = batch.get_job(job).execution_info
    assert info is not None
    return info


def manager(script: str, **options: Any) -> models.BatchJobManagerTask:
    """Return a job manager task that runs a shell script."""
    return models.BatchJobManagerTask(id="manager", command_line=kit.sh(script), **options)


def test_a_pool_for_a_job(batch: BatchClient) -> None:
    """It is made with the job, runs its tasks, and is gone after its end."""
    job = kit.a_job(batch, "", pool_info=auto_pool(auto_pool_id_prefix="mine"))
    pool = auto_pool_of(batch, job)
    assert re.fullmatch(r"mine_[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", pool)
    assert kit.pool_of(batch, pool).vm_size == "standard_d2s_v5"

    assert kit.info_of(kit.run(batch, job, "true")).result == "success"
    kit.terminate_job(batch, job)

    assert completed(batch, job).pool_id == pool
    wait_until(lambda: pool not in pool_ids(batch))


def test_a_pool_that_is_kept_alive(batch: BatchClient) -> None:
    """It outlives its job; without a prefix its id is a GUID."""
    job = kit.a_job(batch, "", pool_info=auto_pool(keep_alive=True))
    pool = auto_pool_of(batch, job)

    kit.delete_job(batch, job)

    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", pool)
    assert kit.pool_of(batch, pool).state == "active"


def test_a_deleted_job_takes_its_pool_along(batch: BatchClient) -> None:
    """Deleting the active job is an end too."""
    job = kit.a_job(batch, "", pool_info=auto_pool())
    pool = auto_pool_of(batch, job)

    kit.delete_job(batch, job)

    wait_until(lambda: pool not in pool_ids(batch))


def test_a_bad_pool_makes_no_job(batch: BatchClient) -> None:
    """What is wrong with the pool is said of the job."""
    with kit.refused(400, "InvalidPropertyValue"):
        kit.a_job(batch, "", pool_info=auto_pool(pool={"vm_size": "huge"}))
    assert not list(batch.list_jobs())


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"pool_lifetime_option": "jobschedule"}, 501, "NotImplementedByEmulator"),
        ({"auto_pool_id_prefix": "x" * 21}, 400, "InvalidPropertyValue"),
        ({"pool": {"user_accounts": [models.UserAccount(name="a", password="b")]}}, 501, None),
    ],
    ids=["jobschedule", "long prefix", "user accounts"],
)
def test_what_an_auto_pool_cannot_be(
    batch: BatchClient, options: dict[str, Any], status: int, code: str | None
) -> None:
    """Lifetimes of schedules and what pools cannot be are refused, and so are long prefixes."""
    with kit.refused(status, code or "NotImplementedByEmulator"):
        kit.a_job(batch, "", pool_info=auto_pool(**options))
    assert not pool_ids(batch)


def test_one_pool_not_two(batch: BatchClient) -> None:
    """A job has a pool of its own or another one."""
    both = auto_pool()
    both.pool_id = "some-pool"
    with kit.refused(400, "InvalidPropertyValue"):
        kit.a_job(batch, "", pool_info=both)


def test_keep_alive_may_change_while_the_job_is_disabled(batch: BatchClient) -> None:
    """Nothing else of an auto pool may."""
    job = kit.a_job(batch, "", pool_info=auto_pool())
    disable = models.BatchJobDisableOptions(disable_tasks="requeue")
    batch.begin_disable_job(job, disable, polling_interval=1)
    wait_until(lambda: batch.get_job(job).state == "disabled")

    with kit.refused(501, "NotImplementedByEmulator"):
        batch.update_job(
            job, models.BatchJobUpdateOptions(pool_info=models.BatchPoolInfo(pool_id="other"))
        )
    kept = auto_pool(keep_alive=True)
    batch.update_job(job, models.BatchJobUpdateOptions(pool_info=kept))
    kit.terminate_job(batch, job)
    completed(batch, job)

    assert kit.pool_of(batch, auto_pool_of(batch, job)).state == "active"


def test_a_job_ends_with_its_manager(batch: BatchClient) -> None:
    """The manager starts with the job; its end, whatever its result, ends the other tasks."""
    pool = kit.a_pool(batch, target_dedicated_nodes=2)
    job = kit.a_job(batch, pool, job_manager_task=manager("exec sleep 60"))
    kit.reach(batch, job, "manager", "running")
    other = kit.a_task(batch, job, kit.sh("exec sleep 60"))
    kit.reach(batch, job, other, "running")

    batch.terminate_task(job, "manager")

    assert completed(batch, job).termination_reason == "JMComplete"
    assert kit.failure_code(batch.get_task(job, other)) == "TaskEnded"


def test_a_manager_need_not_end_its_job(batch: BatchClient, pool: str) -> None:
    """Without killJobOnCompletion the job goes on, until all tasks are completed if it says so."""
    job = kit.a_job(
        batch,
        pool,
        job_manager_task=manager("true", kill_job_on_completion=False),
        all_tasks_complete_mode="terminatejob",
    )

    assert completed(batch, job).termination_reason == "AllTasksComplete"
    assert kit.info_of(batch.get_task(job, "manager")).result == "success"


def test_a_manager_is_retried(batch: BatchClient, pool: str) -> None:
    """Only its last end ends the job."""
    job = kit.a_job(
        batch, pool, job_manager_task=manager("exit 3", constraints=kit.constraints(retries=2))
    )

    completed(batch, job)

    info = kit.info_of(batch.get_task(job, "manager"))
    assert (info.retry_count, info.exit_code) == (2, 3)


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_manager_may_have_its_node_to_itself(batch: BatchClient, *, exclusive: bool) -> None:
    """Other tasks wait for free slots of its node then, although there are some."""
    pool = kit.a_pool(batch, task_slots_per_node=4)
    job = kit.a_job(batch, pool, job_manager_task=manager("exec sleep 60", run_exclusive=exclusive))
    kit.reach(batch, job, "manager", "running")
    task = kit.a_task(batch, job, kit.sh("exec sleep 60"))

    if exclusive:
        other = kit.a_job(batch, kit.a_pool(batch))
        assert kit.said(batch, other, "echo passed") == "passed\n"
        assert batch.get_task(job, task).state == "active"
    else:
        kit.reach(batch, job, task, "running")


def test_the_defaults_of_a_manager(batch: BatchClient) -> None:
    """What the client did not say reads as the service's default."""
    job = batch.get_job(kit.a_job(batch, "some-pool", job_manager_task=manager("true"))).as_dict()

    given = job["jobManagerTask"]
    assert (given["killJobOnCompletion"], given["runExclusive"]) == (True, True)
    assert given["allowLowPriorityNode"] is True


def test_a_task_can_ask_for_a_node(batch: BatchClient) -> None:
    """The one that is named gets it, as long as it has a free slot; else another one does."""
    pool = kit.a_pool(batch, target_dedicated_nodes=3)
    job = kit.a_job(batch, pool)
    wanted = list(batch.list_nodes(pool))[1]
    affinity = models.BatchAffinityInfo(affinity_id=str(wanted.affinity_id))

    first, second = (
        kit.reach(
            batch,
            job,
            kit.a_task(batch, job, kit.sh("exec sleep 60"), affinity_info=affinity),
            "running",
        )
        for _ in range(2)
    )

    assert first.node_info is not None
    assert second.node_info is not None
    assert first.node_info.node_id == wanted.id
    assert second.node_info.node_id != wanted.id

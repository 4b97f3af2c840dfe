"""Pools of the Batch emulator, from creation to deletion."""

from datetime import timedelta

import pytest
from azure.batch import BatchClient, models
from azure.core import MatchConditions
from azure.core.exceptions import ResourceNotFoundError

from tests.support.emulator import builders as kit
from tests.support.emulator.emulators import Emulator
from tests.support.processes import wait_until


def test_create_fills_in_the_defaults(batch: BatchClient) -> None:
    """What the client did not say reads as the service's default."""
    pool = kit.pool_of(batch, kit.a_pool(batch, target_dedicated_nodes=0)).as_dict()

    defaults = {
        "taskSlotsPerNode": 1,
        "resizeTimeout": "PT15M",
        "taskSchedulingPolicy": {"nodeFillType": "Spread"},
        "enableAutoScale": False,
        "targetLowPriorityNodes": 0,
        "state": "active",
    }
    assert defaults.items() <= pool.items()


def test_a_pool_without_nodes_is_steady_at_once(batch: BatchClient) -> None:
    """There is nothing to allocate."""
    pool = kit.pool_options(target_dedicated_nodes=0)

    batch.create_pool(pool)

    assert kit.pool_of(batch, pool.id).allocation_state == "steady"


def test_create_answers_before_the_nodes_are_there(batch: BatchClient) -> None:
    """A new pool is active and resizing, then steady with the nodes it asked for."""
    pool = kit.pool_options(target_dedicated_nodes=2)
    batch.create_pool(pool)
    assert kit.pool_of(batch, pool.id).allocation_state == "resizing"

    wait_until(lambda: kit.pool_of(batch, pool.id).allocation_state == "steady")

    assert kit.pool_of(batch, pool.id).current_dedicated_nodes == 2


def test_dedicated_and_low_priority_nodes_are_counted_apart(batch: BatchClient) -> None:
    """Both targets are met."""
    pool_id = kit.a_pool(batch, target_dedicated_nodes=1, target_low_priority_nodes=2)

    pool = kit.pool_of(batch, pool_id)

    assert (pool.current_dedicated_nodes, pool.current_low_priority_nodes) == (1, 2)
    assert sorted(bool(node.is_dedicated) for node in batch.list_nodes(pool_id)) == [0, 0, 1]


def test_ids_are_unique_whatever_their_case(batch: BatchClient, pool: str) -> None:
    """A pool is found by, and collides with, its id in another case."""
    assert kit.pool_of(batch, pool.upper()).id == pool
    with kit.refused(409, "PoolExists"):
        batch.create_pool(kit.pool_options(id=pool.upper()))


def test_get_of_a_missing_pool(batch: BatchClient) -> None:
    """The error says which pool is missing."""
    with kit.refused(404, "PoolNotFound") as caught:
        batch.get_pool("nowhere")
    assert "nowhere" in str(caught.value)


def test_exists(batch: BatchClient, pool: str) -> None:
    """HEAD finds a pool; of a missing one it answers 404, which the SDK raises."""
    assert batch.pool_exists(pool)
    with pytest.raises(ResourceNotFoundError):
        batch.pool_exists("nowhere")


def test_list_is_in_order_of_creation(batch: BatchClient) -> None:
    """All pools are listed, the oldest first."""
    ids = [kit.a_pool(batch, target_dedicated_nodes=0) for _ in range(3)]

    assert [pool.id for pool in batch.list_pools()] == ids


def test_update_replaces_only_what_is_given(batch: BatchClient) -> None:
    """A patch of the metadata leaves the display name alone."""
    old = [models.BatchMetadataItem(name="a", value="1")]
    pool_id = kit.a_pool(batch, target_dedicated_nodes=0, display_name="mine", metadata=old)

    new = models.BatchPoolUpdateOptions(metadata=[models.BatchMetadataItem(name="b", value="2")])
    batch.update_pool(pool_id, new)

    pool = kit.pool_of(batch, pool_id)
    assert pool.display_name == "mine"
    assert [(item.name, item.value) for item in pool.metadata or []] == [("b", "2")]


def test_task_slots_change_only_without_nodes(batch: BatchClient, pool: str) -> None:
    """Slots of a pool that has nodes are fixed."""
    with kit.refused(409, "OperationInvalidForCurrentState"):
        batch.update_pool(pool, models.BatchPoolUpdateOptions(task_slots_per_node=2))


@pytest.mark.parametrize(("slots", "allowed"), [(8, True), (9, False)])
def test_task_slots_are_four_for_each_core(
    batch: BatchClient, slots: int, *, allowed: bool
) -> None:
    """A node of two cores has eight task slots at most."""
    pool = kit.pool_options(task_slots_per_node=slots, target_dedicated_nodes=0)
    if allowed:
        batch.create_pool(pool)
    else:
        with kit.refused(400, "InvalidPropertyValue"):
            batch.create_pool(pool)


def test_resize_timeout_is_five_minutes_at_least(batch: BatchClient) -> None:
    """A shorter one is refused."""
    with kit.refused(400, "InvalidPropertyValue"):
        batch.create_pool(kit.pool_options(resize_timeout=timedelta(minutes=4)))


def test_unknown_images_are_taken(batch: BatchClient) -> None:
    """Clients ask for retired images: an unknown one is only a name here."""
    image = models.BatchVmImageReference(publisher="canonical", offer="UbuntuServer", sku="18.04")
    machine = models.VirtualMachineConfiguration(
        image_reference=image, node_agent_sku_id="batch.node.ubuntu 18.04"
    )
    pool = kit.pool_options()
    pool.virtual_machine_configuration = machine

    batch.create_pool(pool)

    assert kit.pool_of(batch, pool.id).state == "active"


def test_resize_makes_nodes_and_removes_them(batch: BatchClient, pool: str) -> None:
    """A pool follows its target up and down."""
    kit.resize(batch, pool, target_dedicated_nodes=3)
    assert kit.pool_of(batch, pool).current_dedicated_nodes == 3

    kit.resize(batch, pool, target_dedicated_nodes=0)

    assert not list(batch.list_nodes(pool))


def test_resize_while_resizing_is_refused(batch: BatchClient) -> None:
    """One resize at a time."""
    pool = kit.pool_options()
    batch.create_pool(pool)

    with kit.refused(409, "PoolBeingResized"):
        kit.resize(batch, pool.id, target_dedicated_nodes=2)


def test_resize_without_a_target_is_refused(batch: BatchClient, pool: str) -> None:
    """One of the targets must be given."""
    with kit.refused(400, "MissingRequiredProperty"):
        kit.resize(batch, pool)


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("target_dedicated_nodes", "AccountCoreQuotaReached"),
        ("target_low_priority_nodes", "AccountLowPriorityCoreQuotaReached"),
    ],
)
def test_a_pool_beyond_the_core_quota(batch: BatchClient, target: str, code: str) -> None:
    """The pool gets steady with fewer nodes than asked for, and says why."""
    pool_id = kit.a_pool(
        batch, vm_size="standard_d64s_v5", **{"target_dedicated_nodes": 0, target: 2}
    )

    pool = kit.pool_of(batch, pool_id)

    assert [error.code for error in pool.resize_errors or []] == [code]
    assert len(list(batch.list_nodes(pool_id))) == 1


def test_a_new_resize_clears_the_errors_of_the_last(batch: BatchClient) -> None:
    """Errors tell of the last resize only."""
    pool_id = kit.a_pool(batch, vm_size="standard_d64s_v5", target_dedicated_nodes=2)

    kit.resize(batch, pool_id, target_dedicated_nodes=1)

    assert kit.pool_of(batch, pool_id).resize_errors is None


def test_deleting_a_pool_leaves_its_jobs(batch: BatchClient, pool: str, job: str) -> None:
    """The job stays active; its tasks wait for a pool of that id."""
    task = kit.a_task(batch, job, kit.sh("exec sleep 60"))
    kit.reach(batch, job, task, "running")

    kit.delete_pool(batch, pool)

    waiting = batch.get_task(job, task)
    assert (batch.get_job(job).state, waiting.state) == ("active", "active")
    assert kit.info_of(waiting).requeue_count == 1


def test_tasks_go_on_when_the_pool_is_made_anew(batch: BatchClient, pool: str, job: str) -> None:
    """A requeued task runs on the next pool of the same id."""
    task = kit.a_task(batch, job, kit.sh("exec sleep 60"))
    kit.reach(batch, job, task, "running")
    kit.delete_pool(batch, pool)

    batch.create_pool(kit.pool_options(id=pool))

    assert kit.info_of(kit.reach(batch, job, task, "running")).requeue_count == 1


def test_delete_kills_what_runs_and_removes_the_folders(
    batch: BatchClient, emulator: Emulator, pool: str, job: str
) -> None:
    """No process and no folder outlives its pool."""
    kit.reach(batch, job, kit.a_task(batch, job, kit.sh("exec sleep 61")), "running")
    assert emulator.task_pids("sleep 61")

    kit.delete_pool(batch, pool)

    wait_until(emulator.is_clean)


def test_delete_while_nodes_are_allocated(batch: BatchClient, emulator: Emulator) -> None:
    """A pool that is not ready yet can be deleted."""
    pool = kit.pool_options(target_dedicated_nodes=3)
    batch.create_pool(pool)

    kit.delete_pool(batch, pool.id)

    wait_until(emulator.is_clean)


def test_delete_while_a_start_task_runs(batch: BatchClient, emulator: Emulator) -> None:
    """The start task is killed with its node."""
    start_task = models.BatchStartTask(command_line=kit.sh("sleep 62 & exec sleep 62"))
    pool = kit.pool_options(start_task=start_task)
    batch.create_pool(pool)
    wait_until(lambda: len(emulator.task_pids("sleep 62")) >= 2)

    kit.delete_pool(batch, pool.id)

    wait_until(emulator.is_clean)


def test_delete_does_not_wait_for_a_patient_resize(batch: BatchClient, pool: str, job: str) -> None:
    """A resize that lets tasks complete must not hold up the pool's deletion."""
    task = kit.a_task(batch, job, kit.sh("exec sleep 60"))
    kit.reach(batch, job, task, "running")
    options = models.BatchPoolResizeOptions(
        target_dedicated_nodes=0, node_deallocation_option="taskcompletion"
    )
    batch.begin_resize_pool(pool, options, polling_interval=1)
    wait_until(lambda: kit.node_of(batch, pool).state == "leavingpool")

    kit.delete_pool(batch, pool)

    assert batch.get_task(job, task).state == "active"


@pytest.mark.parametrize(("option", "state"), [("requeue", "active"), ("terminate", "completed")])
def test_what_a_resize_does_with_running_tasks(
    batch: BatchClient, pool: str, job: str, option: str, state: str
) -> None:
    """The deallocation option decides what becomes of a leaving node's tasks."""
    task = kit.a_task(batch, job, kit.sh("exec sleep 60"))
    kit.reach(batch, job, task, "running")

    kit.resize(batch, pool, target_dedicated_nodes=0, node_deallocation_option=option)

    assert batch.get_task(job, task).state == state


def test_a_patient_resize_lets_tasks_complete(batch: BatchClient, pool: str, job: str) -> None:
    """With taskcompletion a node leaves when its tasks have ended by themselves."""
    task = kit.a_task(batch, job, kit.sh("sleep 0.3"))
    kit.reach(batch, job, task, "running")

    kit.resize(batch, pool, target_dedicated_nodes=0, node_deallocation_option="taskcompletion")

    assert kit.info_of(batch.get_task(job, task)).result == "success"


def test_update_with_a_stale_etag(batch: BatchClient, pool: str) -> None:
    """If-Match protects what somebody else wrote meanwhile."""
    etag = kit.pool_of(batch, pool).etag
    batch.update_pool(pool, models.BatchPoolUpdateOptions(display_name="theirs"))

    with kit.refused(412, "ConditionNotMet"):
        batch.update_pool(
            pool,
            models.BatchPoolUpdateOptions(display_name="ours"),
            etag=etag,
            match_condition=MatchConditions.IfNotModified,
        )
    assert kit.pool_of(batch, pool).display_name == "theirs"


def test_a_task_without_a_pool_waits(batch: BatchClient, pool: str) -> None:
    """A job may name a pool that does not exist; other pools do not run its tasks."""
    waiting_job = kit.a_job(batch, "no-such-pool")
    waiting = kit.a_task(batch, waiting_job)

    kit.run(batch, kit.a_job(batch, pool), "true")

    assert batch.get_task(waiting_job, waiting).state == "active"

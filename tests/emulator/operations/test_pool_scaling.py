"""How pools of the Batch emulator are resized, stopped, and lose chosen nodes."""

from datetime import timedelta
from typing import Any

import pytest
from azure.batch import BatchClient, models

from local_azure.client import Control
from tests.support.emulator import builders as kit
from tests.support.processes import wait_until


def node_ids(client: BatchClient, pool_id: str) -> list[str]:
    """Return the ids of a pool's nodes, the oldest first."""
    return [str(node.id) for node in client.list_nodes(pool_id)]


def begin_resize(client: BatchClient, pool_id: str, **options: Any) -> None:
    """Ask for a resize without waiting for it."""
    body = models.BatchPoolResizeOptions(**options)
    client.begin_resize_pool(pool_id, body, polling_interval=1)


def remove(client: BatchClient, pool_id: str, *nodes: str, option: str = "requeue") -> None:
    """Remove nodes, without waiting until they are gone."""
    body = models.BatchNodeRemoveOptions(node_ids=list(nodes), node_deallocation_option=option)
    client.begin_remove_nodes(pool_id, body, polling_interval=1)


def stop_resize(client: BatchClient, pool_id: str) -> models.BatchPool:
    """Stop a resize and return the pool once it is steady."""
    client.begin_stop_pool_resize(pool_id, polling_interval=1)
    wait_until(lambda: kit.pool_of(client, pool_id).allocation_state == "steady")
    return kit.pool_of(client, pool_id)


def errors_of(pool: models.BatchPool) -> list[str | None]:
    """Return the codes of a pool's resize errors."""
    return [error.code for error in pool.resize_errors or []]


def test_a_resize_that_is_stopped_makes_no_more_nodes(
    control: Control, one_try: BatchClient
) -> None:
    """The pool is steady with the nodes that it had, and says why."""
    pool_id = kit.a_pool(one_try)
    control.set_delay("allocation", None)
    begin_resize(one_try, pool_id, target_dedicated_nodes=3)

    pool = stop_resize(one_try, pool_id)
    control.release("allocation")

    assert errors_of(pool) == ["ResizeStopped"]
    assert (pool.target_dedicated_nodes, pool.current_dedicated_nodes) == (3, 1)


def test_a_stopped_pool_can_be_resized_again(control: Control, one_try: BatchClient) -> None:
    """What the stopped resize waited for does not matter any more."""
    pool_id = kit.a_pool(one_try)
    control.set_delay("allocation", None)
    begin_resize(one_try, pool_id, target_dedicated_nodes=3)
    stop_resize(one_try, pool_id)
    control.set_delay("allocation", 0)

    kit.resize(one_try, pool_id, target_dedicated_nodes=2)

    pool = kit.pool_of(one_try, pool_id)
    assert (errors_of(pool), pool.current_dedicated_nodes) == ([], 2)


def test_a_patient_resize_can_be_stopped(batch: BatchClient, pool: str, job: str) -> None:
    """The pool is steady at once; the node that leaves waits for its task all the same."""
    task = kit.a_task(batch, job, kit.sh("sleep 1"))
    kit.reach(batch, job, task, "running")
    begin_resize(batch, pool, target_dedicated_nodes=0, node_deallocation_option="taskcompletion")

    stopped = stop_resize(batch, pool)

    assert errors_of(stopped) == ["ResizeStopped"]
    wait_until(lambda: not node_ids(batch, pool))
    assert kit.info_of(batch.get_task(job, task)).result == "success"


def test_there_must_be_a_resize_to_stop(batch: BatchClient, pool: str) -> None:
    """A steady pool has none."""
    with kit.refused(409, "OperationInvalidForCurrentState"):
        batch.begin_stop_pool_resize(pool)


def test_an_allocation_that_takes_too_long(control: Control, one_try: BatchClient) -> None:
    """At the resize timeout the pool gives up, and a later allocation makes no nodes."""
    control.set_delay("allocation", None)
    pool = kit.pool_options(resize_timeout=timedelta(minutes=6), target_low_priority_nodes=2)
    one_try.create_pool(pool)
    wait_until(lambda: control.delays()["allocation"]["waiting"] == 1)

    control.advance_clock(359)
    assert kit.pool_of(one_try, pool.id).allocation_state == "resizing"
    control.advance_clock(2)

    found = kit.pool_of(one_try, pool.id)
    assert (found.allocation_state, errors_of(found)) == ("steady", ["AllocationTimedout"] * 2)
    assert control.release("allocation") == 0


def test_the_timeout_of_the_last_resize_is_shown(batch: BatchClient, pool: str) -> None:
    """Fifteen minutes, unless the resize says otherwise."""
    kit.resize(batch, pool, target_dedicated_nodes=1, resize_timeout=timedelta(minutes=7))
    assert kit.pool_of(batch, pool).resize_timeout == timedelta(minutes=7)

    kit.resize(batch, pool, target_dedicated_nodes=1)

    assert kit.pool_of(batch, pool).resize_timeout == timedelta(minutes=15)


def test_chosen_nodes_are_removed(batch: BatchClient) -> None:
    """Those that were named go, the others stay, and the targets go down with them."""
    pool_id = kit.a_pool(batch, target_dedicated_nodes=2, target_low_priority_nodes=1)
    first, second, spot = node_ids(batch, pool_id)

    remove(batch, pool_id, first, spot)

    wait_until(lambda: node_ids(batch, pool_id) == [second])
    wait_until(lambda: kit.pool_of(batch, pool_id).allocation_state == "steady")
    pool = kit.pool_of(batch, pool_id)
    assert (pool.target_dedicated_nodes, pool.target_low_priority_nodes) == (1, 0)


@pytest.mark.parametrize(
    ("option", "ending"),
    [
        ("requeue", ("active", None)),
        ("terminate", ("completed", "failure")),
        ("taskcompletion", ("completed", "success")),
        ("retaineddata", ("completed", "success")),
    ],
)
def test_what_a_removal_does_with_running_tasks(
    batch: BatchClient, pool: str, job: str, option: str, ending: tuple[str, str | None]
) -> None:
    """The deallocation option decides."""
    task = kit.a_task(batch, job, kit.sh("sleep 0.5"))
    kit.reach(batch, job, task, "running")

    remove(batch, pool, *node_ids(batch, pool), option=option)

    wait_until(lambda: not node_ids(batch, pool))
    found = batch.get_task(job, task)
    assert (found.state, kit.info_of(found).result) == ending


def test_a_removal_needs_a_steady_pool(batch: BatchClient, pool: str, job: str) -> None:
    """While a node leaves, no other can be removed."""
    kit.resize(batch, pool, target_dedicated_nodes=2)
    kit.reach(batch, job, kit.a_task(batch, job, kit.sh("exec sleep 60")), "running")
    first, second = node_ids(batch, pool)
    remove(batch, pool, first, second, option="taskcompletion")

    with kit.refused(409, "PoolBeingResized"):
        remove(batch, pool, second)


@pytest.mark.parametrize(
    ("names", "status", "code"),
    [
        (["tvm-none"], 404, "NodeNotFound"),
        ([], 400, "InvalidPropertyValue"),
        ([f"tvm-{number}" for number in range(101)], 400, "InvalidPropertyValue"),
    ],
)
def test_removals_that_are_refused(
    batch: BatchClient, pool: str, names: list[str], status: int, code: str
) -> None:
    """Between 1 and 100 nodes of the pool."""
    with kit.refused(status, code):
        remove(batch, pool, *names)
    assert kit.pool_of(batch, pool).allocation_state == "steady"


def test_replace_removes_what_it_does_not_name(batch: BatchClient) -> None:
    """The start task is gone, the metadata is new, all else stays."""
    old = [models.BatchMetadataItem(name="a", value="1")]
    start_task = models.BatchStartTask(command_line="true")
    pool_id = kit.a_pool(batch, display_name="mine", start_task=start_task, metadata=old)

    new = models.BatchPoolReplaceOptions(
        application_package_references=[],
        metadata=[models.BatchMetadataItem(name="b", value="2")],
    )
    batch.replace_pool_properties(pool_id, new)

    pool = kit.pool_of(batch, pool_id)
    assert (pool.start_task, pool.display_name) == (None, "mine")
    assert [(item.name, item.value) for item in pool.metadata or []] == [("b", "2")]


def test_replace_must_name_the_metadata(batch: BatchClient, pool: str) -> None:
    """What the service requires, the emulator does too."""
    with kit.refused(400, "MissingRequiredProperty"):
        kit.send(batch, "POST", f"/pools/{pool}/updateproperties", json={})


def test_nodes_are_counted_by_state(batch: BatchClient) -> None:
    """For each pool, dedicated and low-priority nodes apart."""
    failing = models.BatchStartTask(command_line="false")
    one = kit.a_pool(batch, target_dedicated_nodes=2, target_low_priority_nodes=1)
    other = kit.a_pool(batch, start_task=failing)
    job = kit.a_job(batch, one)
    kit.reach(batch, job, kit.a_task(batch, job, kit.sh("exec sleep 60")), "running")

    counts = {found.pool_id: found for found in batch.list_pool_node_counts()}

    assert set(counts) == {one, other}
    both = [counts[one].dedicated, counts[one].low_priority]
    assert [(found.total, found.idle + found.running) for found in both if found] == [
        (2, 2),
        (1, 1),
    ]
    failed = counts[other].dedicated
    assert failed
    assert (failed.start_task_failed, failed.total, failed.upgrading_os) == (1, 1, 0)


def test_counts_can_be_filtered_by_pool(batch: BatchClient) -> None:
    """Of many pools only one."""
    one, _ = (kit.a_pool(batch, target_dedicated_nodes=0) for _ in range(2))

    counts = batch.list_pool_node_counts(filter=f"poolId eq '{one}'")

    assert [found.pool_id for found in counts] == [one]

"""What can be asked of nodes of the Batch emulator, and how they are lost."""

from typing import Any

import pytest
from azure.batch import BatchClient, models

from local_azure.client import Control
from tests.support.emulator import builders as kit
from tests.support.processes import wait_until

RESTARTS = [
    ("reboot", "nodeRebootOption"),
    ("reimage", "nodeReimageOption"),
    ("deallocate", "nodeDeallocateOption"),
]


def ask(client: BatchClient, pool_id: str, operation: str, **body: str) -> None:
    """Ask the only node of a pool for something, without waiting for it."""
    # The SDK sends no such request without a body, and hides the models of the bodies.
    node_id = kit.node_of(client, pool_id).id
    path = f"/pools/{pool_id}/nodes/{node_id}/{operation}"
    kit.send(client, "POST", path, **({"json": body} if body else {})).raise_for_status()


def reach_state(client: BatchClient, pool_id: str, state: str) -> models.BatchNode:
    """Wait until the only node of a pool is in a state and return it."""
    wait_until(lambda: kit.node_of(client, pool_id).state == state)
    return kit.node_of(client, pool_id)


def disable(client: BatchClient, pool_id: str, option: str = "requeue") -> None:
    """Let the only node of a pool have no more tasks."""
    body = models.BatchNodeDisableSchedulingOptions(node_disable_scheduling_option=option)
    client.disable_node_scheduling(pool_id, str(kit.node_of(client, pool_id).id), body)


def enable(client: BatchClient, pool_id: str) -> None:
    """Let the only node of a pool have tasks again."""
    client.enable_node_scheduling(pool_id, str(kit.node_of(client, pool_id).id))


def a_marking_pool(client: BatchClient, **options: Any) -> str:
    """Make a pool of one node whose start task leaves a line in the shared folder at each run."""
    script = 'echo ran >>"$AZ_BATCH_NODE_SHARED_DIR/runs"'
    return kit.a_pool(
        client, start_task=models.BatchStartTask(command_line=kit.sh(script), **options)
    )


def runs_of(client: BatchClient, pool_id: str) -> str:
    """Return how many runs of the start task a node's shared folder shows."""
    return kit.said(
        client, kit.a_job(client, pool_id), 'wc -l <"$AZ_BATCH_NODE_SHARED_DIR/runs"'
    ).strip()


def booted_again(client: BatchClient, pool_id: str, before: models.BatchNode) -> models.BatchNode:
    """Wait until a node is idle after a reboot and return it."""
    wait_until(lambda: kit.node_of(client, pool_id).last_boot_time != before.last_boot_time)
    return reach_state(client, pool_id, "idle")


def test_a_disabled_node_has_no_tasks(batch: BatchClient, pool: str, job: str) -> None:
    """It is offline, tasks wait, and they run when it is enabled again."""
    disable(batch, pool)
    node = reach_state(batch, pool, "offline")
    waiting = kit.a_task(batch, job)
    assert node.scheduling_state == "disabled"
    assert batch.get_task(job, waiting).state == "active"

    enable(batch, pool)

    assert kit.info_of(kit.reach(batch, job, waiting, "completed")).result == "success"
    assert reach_state(batch, pool, "idle").scheduling_state == "enabled"


@pytest.mark.parametrize(
    ("option", "ending"),
    [
        ("requeue", ("active", None)),
        ("terminate", ("completed", "failure")),
        ("taskcompletion", ("completed", "success")),
    ],
)
def test_what_disabling_does_with_running_tasks(
    batch: BatchClient, pool: str, job: str, option: str, ending: tuple[str, str | None]
) -> None:
    """The option decides; then the node is offline."""
    task = kit.a_task(batch, job, kit.sh("sleep 0.5"))
    kit.reach(batch, job, task, "running")

    disable(batch, pool, option)

    reach_state(batch, pool, "offline")
    found = batch.get_task(job, task)
    assert (found.state, kit.info_of(found).result) == ending


def test_a_patiently_disabled_node_takes_no_more(batch: BatchClient) -> None:
    """Free slots of a node whose tasks may complete stay free."""
    pool = kit.a_pool(batch, task_slots_per_node=2)
    job = kit.a_job(batch, pool)
    first = kit.a_task(batch, job, kit.sh("sleep 0.5"))
    kit.reach(batch, job, first, "running")

    disable(batch, pool, "taskcompletion")
    second = kit.a_task(batch, job)

    kit.reach(batch, job, first, "completed")
    assert batch.get_task(job, second).state == "active"


def test_scheduling_is_switched_once(batch: BatchClient, pool: str) -> None:
    """A second time is a conflict, either way."""
    with kit.refused(409, "NodeAlreadyInTargetSchedulingState"):
        enable(batch, pool)
    disable(batch, pool)
    with kit.refused(409, "NodeAlreadyInTargetSchedulingState"):
        disable(batch, pool)


def test_a_disabled_node_stays_offline_over_a_reboot(batch: BatchClient, pool: str) -> None:
    """It boots, and has no tasks until it is enabled."""
    disable(batch, pool)
    before = reach_state(batch, pool, "offline")

    ask(batch, pool, "reboot")

    wait_until(lambda: kit.node_of(batch, pool).last_boot_time != before.last_boot_time)
    assert reach_state(batch, pool, "offline").id == before.id


def test_a_reboot_runs_the_start_task_again(batch: BatchClient) -> None:
    """The node is the same, its folders are kept."""
    pool = a_marking_pool(batch)
    before = kit.node_of(batch, pool)

    ask(batch, pool, "reboot")

    assert booted_again(batch, pool, before).id == before.id
    assert runs_of(batch, pool) == "2"


def test_a_reimage_empties_the_folders(batch: BatchClient, job: str) -> None:
    """The start task runs on a node that has nothing; files of former tasks are gone."""
    pool = a_marking_pool(batch)
    task = kit.run(batch, kit.a_job(batch, pool, id=f"{job}-files"), "echo here")
    before = kit.node_of(batch, pool)

    ask(batch, pool, "reimage")

    booted_again(batch, pool, before)
    assert runs_of(batch, pool) == "1"
    with kit.no_download(404):
        b"".join(batch.download_task_file(f"{job}-files", str(task.id), "stdout.txt"))


def test_a_reboot_heals_a_failed_start_task(batch: BatchClient) -> None:
    """The start task that the pool has by then is the one that runs."""
    pool = kit.a_pool(batch, start_task=models.BatchStartTask(command_line="false"))
    before = kit.node_of(batch, pool)
    healthy = models.BatchStartTask(command_line="true")
    batch.update_pool(pool, models.BatchPoolUpdateOptions(start_task=healthy))

    assert before.state == "starttaskfailed"

    ask(batch, pool, "reboot")

    info = booted_again(batch, pool, before).start_task_info
    assert info
    assert (info.result, info.exit_code) == ("success", 0)


def test_a_new_start_task_is_for_new_nodes_only(batch: BatchClient) -> None:
    """A node that is there keeps the start task it ran."""
    pool = a_marking_pool(batch)
    other = models.BatchStartTask(command_line="true")
    batch.update_pool(pool, models.BatchPoolUpdateOptions(start_task=other))

    resize = models.BatchPoolResizeOptions(target_dedicated_nodes=2)
    batch.begin_resize_pool(pool, resize, polling_interval=1)
    wait_until(lambda: [node.state for node in batch.list_nodes(pool)] == ["idle", "idle"])

    old, new = batch.list_nodes(pool)
    assert old.start_task
    assert "runs" in str(old.start_task.command_line)
    assert new.start_task
    assert new.start_task.command_line == "true"


@pytest.mark.parametrize(("operation", "name"), RESTARTS)
@pytest.mark.parametrize("option", ["terminate", "requeue"])
def test_what_a_restart_does_with_running_tasks(
    batch: BatchClient, pool: str, operation: str, name: str, option: str
) -> None:
    """Its option decides."""
    job = kit.a_job(batch, pool)
    task = kit.a_task(batch, job, kit.sh("exec sleep 60"))
    kit.reach(batch, job, task, "running")

    ask(batch, pool, operation, **{name: option})

    wait_until(lambda: batch.get_task(job, task).state != "running")
    found = kit.info_of(batch.get_task(job, task))
    ending = {"terminate": ("failure", 0), "requeue": (None, 1)}
    assert (found.result, found.requeue_count) == ending[option]


@pytest.mark.parametrize(("operation", "name"), RESTARTS)
def test_a_patient_restart_lets_tasks_complete(
    batch: BatchClient, pool: str, job: str, operation: str, name: str
) -> None:
    """The node takes no other task meanwhile."""
    task = kit.a_task(batch, job, kit.sh("sleep 0.5"))
    kit.reach(batch, job, task, "running")

    ask(batch, pool, operation, **{name: "taskcompletion"})
    assert kit.node_of(batch, pool).state == f"{operation.removesuffix('e')}ing"

    assert kit.info_of(kit.reach(batch, job, task, "completed")).result == "success"


def test_a_deallocated_node_can_be_started(batch: BatchClient) -> None:
    """It runs its start task again then; until then its folders are kept and it has no tasks."""
    pool = a_marking_pool(batch)
    ask(batch, pool, "deallocate")
    reach_state(batch, pool, "deallocated")

    ask(batch, pool, "start")

    reach_state(batch, pool, "idle")
    assert runs_of(batch, pool) == "2"


@pytest.mark.parametrize("operation", ["reboot", "reimage", "deallocate", "start"])
def test_a_node_that_boots_takes_no_operation(
    control: Control, one_try: BatchClient, operation: str
) -> None:
    """It can be asked for something when it has booted."""
    pool = kit.a_pool(one_try)
    before = kit.node_of(one_try, pool)
    control.set_delay("boot", None)
    ask(one_try, pool, "reboot")

    with kit.refused(409, "NodeBeingRebooted"):
        ask(one_try, pool, operation)

    wait_until(lambda: control.release("boot") == 1)
    booted_again(one_try, pool, before)


def test_only_a_deallocated_node_can_be_started(batch: BatchClient, pool: str) -> None:
    """An idle node is started already."""
    with kit.refused(409, "OperationNotValidOnNode"):
        ask(batch, pool, "start")


def test_a_node_that_reboots_can_be_removed(control: Control, one_try: BatchClient) -> None:
    """It need not boot for that."""
    pool = kit.a_pool(one_try)
    control.set_delay("boot", None)
    ask(one_try, pool, "reboot")
    reach_state(one_try, pool, "rebooting")

    remove = models.BatchNodeRemoveOptions(node_ids=[str(kit.node_of(one_try, pool).id)])
    one_try.begin_remove_nodes(pool, remove, polling_interval=1)

    wait_until(lambda: kit.pool_of(one_try, pool).current_dedicated_nodes == 0)


def test_files_of_a_removed_node(batch: BatchClient, pool: str) -> None:
    """They are gone with it."""
    node_id = str(kit.node_of(batch, pool).id)
    remove = models.BatchNodeRemoveOptions(node_ids=[node_id])

    batch.begin_remove_nodes(pool, remove, polling_interval=1)
    wait_until(lambda: not list(batch.list_nodes(pool)))

    with kit.refused(404, "NodeNotFound"):
        list(batch.list_node_files(pool, node_id))
    with kit.no_download(404):
        b"".join(batch.download_node_file(pool, node_id, "startup/stdout.txt"))


def test_a_preempted_node_is_replaced(control: Control, one_try: BatchClient) -> None:
    """Its task is requeued and runs again on the node that the pool gets instead."""
    pool = kit.a_pool(one_try, target_dedicated_nodes=0, target_low_priority_nodes=1)
    job = kit.a_job(one_try, pool)
    task = kit.a_task(one_try, job, kit.sh("exec sleep 60"))
    kit.reach(one_try, job, task, "running")
    lost = str(kit.node_of(one_try, pool).id)

    control.preempt_node(pool, lost)

    wait_until(lambda: lost not in {node.id for node in one_try.list_nodes(pool)})
    again = kit.reach(one_try, job, task, "running")
    assert kit.info_of(again).requeue_count == 1
    assert reach_state(one_try, pool, "running").id != lost


def test_a_preempted_node_is_seen(control: Control, one_try: BatchClient) -> None:
    """As long as its removal takes it is preempted; then its pool resizes by itself."""
    pool = kit.a_pool(one_try, target_dedicated_nodes=0, target_low_priority_nodes=1)
    control.set_delay("removal", None)
    control.preempt_node(pool, str(kit.node_of(one_try, pool).id))

    wait_until(lambda: "preempted" in {node.state for node in one_try.list_nodes(pool)})
    wait_until(lambda: kit.pool_of(one_try, pool).allocation_state == "resizing")

    def is_steady() -> bool:
        """Let the removal go on, which may have begun to wait only now, and look."""
        control.release("removal")
        return kit.pool_of(one_try, pool).allocation_state == "steady"

    wait_until(is_steady)
    assert reach_state(one_try, pool, "idle").is_dedicated is False


def test_an_unusable_node_stays(control: Control, one_try: BatchClient) -> None:
    """Its tasks are requeued, it takes none, and it can only be removed."""
    pool = kit.a_pool(one_try)
    job = kit.a_job(one_try, pool)
    task = kit.a_task(one_try, job, kit.sh("exec sleep 60"))
    kit.reach(one_try, job, task, "running")

    control.break_node(pool, str(kit.node_of(one_try, pool).id))

    kit.reach(one_try, job, task, "active")
    assert reach_state(one_try, pool, "unusable").running_tasks_count == 0
    with kit.refused(409, "NodeStateUnusable"):
        ask(one_try, pool, "reboot")

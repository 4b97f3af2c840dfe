"""Pools and nodes of an emulator that was killed, and started again on the same folder."""

import pytest
from azure.batch import BatchClient, models

from tests.support.emulator import builders as kit
from tests.support.emulator.emulators import Account
from tests.support.processes import wait_until


def ask(client: BatchClient, pool_id: str, operation: str) -> None:
    """Ask the only node of a pool for something, without waiting for it."""
    path = f"/pools/{pool_id}/nodes/{kit.node_of(client, pool_id).id}/{operation}"
    kit.send(client, "POST", path).raise_for_status()


def reach_state(client: BatchClient, pool_id: str, state: str) -> models.BatchNode:
    """Wait until the only node of a pool is in a state and return it."""
    wait_until(lambda: kit.node_of(client, pool_id).state == state)
    return kit.node_of(client, pool_id)


@pytest.mark.parametrize("operation", ["reboot", "reimage"])
def test_a_restart_of_a_node_goes_on(account: Account, operation: str) -> None:
    """What was asked for and answered is carried out after the crash."""
    client = account.client()
    pool_id = kit.a_pool(client)
    before = kit.node_of(client, pool_id)
    ask(client, pool_id, operation)

    client = account.again()

    after = reach_state(client, pool_id, "idle")
    assert after.id == before.id
    assert after.last_boot_time > before.last_boot_time


def test_a_start_task_runs_again(account: Account) -> None:
    """One that was running had no end; the node is ready when it has."""
    client = account.client()
    script = 'echo ran >>"$AZ_BATCH_NODE_SHARED_DIR/runs"; sleep 0.5'
    start_task = models.BatchStartTask(command_line=kit.sh(script), wait_for_success=False)
    pool_id = kit.a_pool(client, start_task=start_task)

    client = account.again()

    node_id = str(reach_state(client, pool_id, "idle").id)
    wait_until(
        lambda: getattr(kit.node_of(client, pool_id).start_task_info, "exit_code", None) == 0
    )
    assert b"".join(client.download_node_file(pool_id, node_id, "shared/runs")) == b"ran\nran\n"


def test_a_disabled_node_stays_so(account: Account) -> None:
    """Its task is requeued, for its process is gone, and waits until the node is enabled."""
    client = account.client()
    pool_id = kit.a_pool(client)
    job_id = kit.a_job(client, pool_id)
    task_id = kit.a_task(client, job_id, kit.sh("exec sleep 60"))
    kit.reach(client, job_id, task_id, "running")
    patient = models.BatchNodeDisableSchedulingOptions(
        node_disable_scheduling_option="taskcompletion"
    )
    client.disable_node_scheduling(pool_id, str(kit.node_of(client, pool_id).id), patient)

    client = account.again()

    node_id = str(reach_state(client, pool_id, "offline").id)
    assert client.get_task(job_id, task_id).state == "active"
    client.enable_node_scheduling(pool_id, node_id)
    assert kit.info_of(kit.reach(client, job_id, task_id, "running")).requeue_count == 1


def test_a_deallocated_node_can_be_started(account: Account) -> None:
    """It has no machine over the crash either."""
    client = account.client()
    pool_id = kit.a_pool(client)
    ask(client, pool_id, "deallocate")
    reach_state(client, pool_id, "deallocated")

    client = account.again()
    reach_state(client, pool_id, "deallocated")
    ask(client, pool_id, "start")

    reach_state(client, pool_id, "idle")


def test_a_formula_and_its_run_are_kept(account: Account) -> None:
    """The pool is as large as the formula made it, and its next evaluation is due as before."""
    client = account.client()
    pool_id = kit.a_pool(client)
    body = models.BatchPoolEnableAutoScaleOptions(auto_scale_formula="$TargetDedicatedNodes = 2;")
    client.enable_pool_auto_scale(pool_id, body)
    before = kit.pool_of(client, pool_id)

    client = account.again()

    wait_until(lambda: kit.pool_of(client, pool_id).allocation_state == "steady")
    after = kit.pool_of(client, pool_id)
    assert after.current_dedicated_nodes == 2
    assert after.auto_scale_run == before.auto_scale_run

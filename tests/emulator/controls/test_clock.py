"""The clock and the delays of a running emulator: waits made short, stopped, and let go by hand."""

from datetime import datetime, timedelta

from azure.batch import BatchClient

from local_azure.client import Control
from tests.support.emulator import builders as kit
from tests.support.processes import wait_until


def node_states(client: BatchClient, pool_id: object) -> list[object]:
    """Return the states of a pool's nodes."""
    return [node.state for node in client.list_nodes(str(pool_id))]


def test_an_advance_moves_the_time_of_answers(control: Control) -> None:
    """The emulator's time is an hour later at once."""
    before = datetime.fromisoformat(control.now())

    control.advance_clock(3600)

    assert datetime.fromisoformat(control.now()) - before >= timedelta(hours=1)


def test_limits_of_tasks_follow_the_clock(control: Control, one_try: BatchClient) -> None:
    """A task that may run for an hour is ended when the clock is an hour later."""
    job_id = kit.a_job(one_try, kit.a_pool(one_try))
    task_id = kit.a_task(one_try, job_id, "sleep 600", constraints=kit.constraints(limit_s=3600))
    kit.reach(one_try, job_id, task_id, "running")

    control.advance_clock(3600)

    assert kit.failure_code(kit.reach(one_try, job_id, task_id, "completed")) == "TaskEnded"


def test_retention_follows_the_clock(control: Control, one_try: BatchClient) -> None:
    """Files that are kept for a week are gone a week later."""
    job_id = kit.a_job(one_try, kit.a_pool(one_try))
    task = kit.run(one_try, job_id, "true")
    control.advance_clock(timedelta(days=8).total_seconds())

    assert [record["files_cleaned"] for record in control.state()["tasks"]] == [True]
    assert task.state == "completed"


def test_a_faster_clock_shortens_boots(control: Control, one_try: BatchClient) -> None:
    """A boot of ten minutes is over in moments."""
    control.set_delay("boot", 600)
    control.scale_clock(10_000)

    pool_id = kit.a_pool(one_try)

    assert node_states(one_try, pool_id) == ["idle"]


def test_an_allocation_by_hand(control: Control, one_try: BatchClient) -> None:
    """The pool is resizing, without nodes, until it is released."""
    control.set_delay("allocation", None)
    pool = kit.pool_options()
    one_try.create_pool(pool)
    wait_until(lambda: control.delays()["allocation"]["waiting"] == 1)
    resizing = kit.pool_of(one_try, pool.id).allocation_state

    released = control.release("allocation")

    wait_until(lambda: node_states(one_try, pool.id) == ["idle"])
    assert (resizing, released) == ("resizing", 1)


def test_a_node_goes_through_its_states_by_hand(control: Control, one_try: BatchClient) -> None:
    """Creating until its boot is released, then starting until its start is."""
    control.set_delay("boot", None)
    control.set_delay("start", None)
    pool = kit.pool_options()
    one_try.create_pool(pool)

    wait_until(lambda: node_states(one_try, pool.id) == ["creating"])
    control.release("boot")
    wait_until(lambda: node_states(one_try, pool.id) == ["starting"])
    control.release("start")

    wait_until(lambda: node_states(one_try, pool.id) == ["idle"])


def test_a_removal_that_takes_a_while(control: Control, one_try: BatchClient) -> None:
    """A pool that is deleted is still there, deleting, until its nodes are removed."""
    pool_id = kit.a_pool(one_try)
    control.set_delay("removal", None)
    one_try.begin_delete_pool(pool_id, polling_interval=1)
    wait_until(lambda: control.delays()["removal"]["waiting"] == 1)

    assert kit.pool_of(one_try, pool_id).state == "deleting"
    assert node_states(one_try, pool_id) == ["leavingpool"]


def test_a_delay_begins_with_the_next_transition(control: Control, one_try: BatchClient) -> None:
    """What waits already goes on as it began."""
    control.set_delay("boot", None)
    pool = kit.pool_options()
    one_try.create_pool(pool)
    wait_until(lambda: control.delays()["boot"]["waiting"] == 1)

    control.set_delay("boot", 0)

    assert node_states(one_try, pool.id) == ["creating"]


def test_a_job_that_takes_long_to_go(control: Control, one_try: BatchClient) -> None:
    """It is there, deleting, and its id taken, until its deletion is released."""
    job_id = kit.a_job(one_try, kit.new_id("pool"))
    control.set_delay("job_deletion", None)
    one_try.begin_delete_job(job_id, polling_interval=1)
    wait_until(lambda: control.delays()["job_deletion"]["waiting"] == 1)
    state = one_try.get_job(job_id).state
    with kit.refused(409, "JobBeingDeleted"):
        kit.a_job(one_try, kit.new_id("pool"), id=job_id)

    control.release("job_deletion")

    wait_until(lambda: not list(one_try.list_jobs()))
    assert state == "deleting"


def test_a_job_that_takes_long_to_end(control: Control, one_try: BatchClient) -> None:
    """It is terminating until the clock has moved on."""
    job_id = kit.a_job(one_try, kit.new_id("pool"))
    control.set_delay("job_termination", 600)
    control.scale_clock(0)
    kit.terminate_job(one_try, job_id)
    wait_until(lambda: control.delays()["job_termination"]["waiting"] == 1)
    state = one_try.get_job(job_id).state

    control.advance_clock(600)

    assert (state, one_try.get_job(job_id).state) == ("terminating", "completed")

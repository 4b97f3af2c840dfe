"""The control endpoints: looking into the emulator, waiting for it, emptying it."""

import http.client
import json
from datetime import datetime

import pytest
from azure.batch import BatchClient, models

from local_azure.client import Control, ControlError
from tests.support.emulator import builders as kit
from tests.support.emulator.emulators import Emulator
from tests.support.processes import wait_until


def post(emulator: Emulator, name: str, body: str = "", **headers: str) -> tuple[int, str]:
    """Send what the control client would not send; return the answer."""
    connection = http.client.HTTPConnection(emulator.url.removeprefix("http://"), timeout=10)
    connection.request("POST", f"/_emulator/{name}", body, headers)
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


def test_they_are_off_unless_asked_for(emulator: Emulator) -> None:
    """An emulator that was started without them has nothing there."""
    with pytest.raises(ControlError, match="404"):
        Control(emulator.url).now()


def test_health_tells_the_time(control: Control) -> None:
    """It is the emulator's, in UTC."""
    assert datetime.fromisoformat(control.now()).tzinfo is not None


@pytest.mark.parametrize("headers", [{"Origin": "http://example.org"}, {"Host": "example.org"}])
def test_pages_in_a_browser_are_refused(controlled: Emulator, headers: dict[str, str]) -> None:
    """Neither another site's script nor a name that was made to mean loopback gets in."""
    assert post(controlled, "reset", **headers)[0] == 403


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("wait-idle", '{"timeout_s": "soon"}'),
        ("delays", '{"coffee": 1}'),
        ("delays", '{"boot": true}'),
        ("release", "{}"),
        ("clock", '{"advance_s": -1}'),
        ("clock", '{"speed": 2}'),
        ("faults", '{"kind": "mood"}'),
        ("faults", '{"kind": "error", "rate": 1}'),
        ("faults", '{"kind": "error", "first": "1"}'),
        ("faults", '{"kind": "error", "every": 0}'),
        ("faults", "{}"),
        ("faults", "[]"),
        ("faults", "{"),
    ],
)
def test_mistakes_are_named(controlled: Emulator, name: str, body: str) -> None:
    """What does not exist or makes no sense is a 400 with a sentence."""
    status, answer = post(controlled, name, body)

    assert (status, bool(json.loads(answer)["error"])) == (400, True)


def test_state_shows_every_resource(control: Control, one_try: BatchClient) -> None:
    """Pools, nodes, jobs and tasks as they are recorded."""
    pool_id = kit.a_pool(one_try)
    job_id = kit.a_job(one_try, pool_id)
    task_id = kit.a_task(one_try, job_id)

    state = control.state()

    assert [[record["id"] for record in state[noun]] for noun in ("pools", "jobs", "tasks")] == [
        [pool_id],
        [job_id],
        [task_id],
    ]
    assert [node["pool_id"] for node in state["nodes"]] == [pool_id]


def test_state_has_no_secrets(control: Control, one_try: BatchClient) -> None:
    """Neither values of settings nor signatures of URLs are shown."""
    job_id = kit.a_job(one_try, kit.new_id("pool"))
    kit.a_task(
        one_try,
        job_id,
        "curl 'http://127.0.0.1/blob?sig=secret1'",
        environment_settings=[models.EnvironmentSetting(name="TOKEN", value="secret2")],
        resource_files=[models.ResourceFile(http_url="http://a/b?sig=secret3", file_path="f")],
    )

    assert "secret" not in json.dumps(control.state())


def test_idle_is_after_the_last_run(control: Control, one_try: BatchClient) -> None:
    """The wait ends when nodes are there and all tasks have run."""
    pool = kit.pool_options(target_dedicated_nodes=2)
    one_try.create_pool(pool)
    job_id = kit.a_job(one_try, str(pool.id))
    for _ in range(4):
        kit.a_task(one_try, job_id, kit.sh("sleep 0.1"))

    control.wait_until_idle()

    assert {task.state for task in one_try.list_tasks(job_id)} == {"completed"}


def test_what_is_under_way_is_named(control: Control, one_try: BatchClient) -> None:
    """A wait that takes too long says for what."""
    job_id = kit.a_job(one_try, kit.a_pool(one_try))
    task_id = kit.a_task(one_try, job_id, "sleep 60")

    with pytest.raises(TimeoutError, match=f"task {job_id}/{task_id} is running"):
        control.wait_until_idle(timeout_s=0.5)


def test_tasks_that_wait_for_a_pool_are_idle(control: Control, one_try: BatchClient) -> None:
    """Nothing is under way where nothing can happen by itself."""
    kit.a_task(one_try, kit.a_job(one_try, kit.new_id("pool")))

    control.wait_until_idle(timeout_s=5)


def test_reset_leaves_nothing(control: Control, controlled: Emulator, one_try: BatchClient) -> None:
    """Resources, processes and folders are gone when it returns."""
    job_id = kit.a_job(one_try, kit.a_pool(one_try))
    kit.a_task(one_try, job_id, "sleep 60")
    wait_until(lambda: controlled.task_pids("sleep"))

    control.reset()

    assert not any(control.state().values())
    assert controlled.is_clean()


def test_reset_ends_what_waits_for_a_release(control: Control, one_try: BatchClient) -> None:
    """A pool that would be allocated by hand, with the clock stopped, is deleted all the same."""
    control.set_delay("allocation", None)
    control.scale_clock(0)
    one_try.create_pool(kit.pool_options())

    control.reset()

    assert control.delays()["allocation"]["seconds"] == 0.05


def test_reset_of_an_auto_pool(control: Control, one_try: BatchClient) -> None:
    """A pool that goes with its job is deleted once, not twice."""
    specification = models.BatchPoolSpecification(
        vm_size="standard_d2s_v5", virtual_machine_configuration=kit.IMAGE, target_dedicated_nodes=1
    )
    auto_pool = models.BatchAutoPoolSpecification(pool_lifetime_option="job", pool=specification)
    kit.a_job(one_try, "", pool_info=models.BatchPoolInfo(auto_pool_specification=auto_pool))
    control.wait_until_idle()

    control.reset()

    assert not any(control.state().values())


def test_node_seconds_of_pools(control: Control, one_try: BatchClient) -> None:
    """Every node counts from its creation until it is gone, by kind; pools that are gone stay."""
    pool_id = kit.a_pool(one_try, target_dedicated_nodes=2, target_low_priority_nodes=1)
    control.scale_clock(0)
    before = control.node_seconds()[pool_id]
    control.advance_clock(100)
    during = control.node_seconds()[pool_id]
    control.scale_clock(1)
    kit.delete_pool(one_try, pool_id)
    after = control.node_seconds()[pool_id]

    assert during["dedicated"] - before["dedicated"] == pytest.approx(200)
    assert during["low_priority"] - before["low_priority"] == pytest.approx(100)
    assert 300 <= after["dedicated"] + after["low_priority"] < 330

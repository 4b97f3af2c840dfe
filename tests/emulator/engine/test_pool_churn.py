"""Operations on pools and nodes in any order, at any moment: nothing is lost, nothing hangs."""

import random

import pytest
from azure.batch import BatchClient, models
from azure.core.exceptions import HttpResponseError

from local_azure.client import Control, ControlError
from tests.support.emulator import builders as kit
from tests.support.processes import wait_until

STEPS = 150
OPTIONS = ("requeue", "terminate", "taskcompletion")
NODE_OPERATIONS = {
    "reboot": "nodeRebootOption",
    "reimage": "nodeReimageOption",
    "deallocate": "nodeDeallocateOption",
    "start": None,
    "disablescheduling": "nodeDisableSchedulingOption",
    "enablescheduling": None,
}


class Churn:
    """Asks a pool for one thing after another; what its state forbids is refused, which is fine."""

    def __init__(self, client: BatchClient, control: Control, seed: int) -> None:
        self._client = client
        self._control = control
        self._random = random.Random(seed)  # noqa: S311 - it only has to be repeatable
        start_task = models.BatchStartTask(command_line=kit.sh("sleep 0.02"))
        self.pool_id = kit.a_pool(
            client,
            target_dedicated_nodes=2,
            target_low_priority_nodes=2,
            task_slots_per_node=2,
            start_task=start_task,
        )
        self.job_id = kit.a_job(client, self.pool_id)

    def step(self) -> None:
        """Do something."""
        actions = [
            *[self._add_task] * 4,
            *[self._operate] * 4,
            self._resize,
            self._remove,
            self._preempt,
            self._scale,
            self._stop_scaling,
        ]
        try:
            self._random.choice(actions)()
        except HttpResponseError as error:
            if error.status_code not in {404, 409}:
                raise
        except ControlError as error:
            # Only low-priority nodes are preempted, and only once; any may be gone by now.
            if ": 400 " not in str(error):
                raise

    def _add_task(self) -> None:
        seconds = self._random.choice([0, 0.05, 0.3])
        kit.a_task(
            self._client, self.job_id, kit.sh(f"sleep {seconds}"), constraints=kit.constraints()
        )

    def _node_id(self) -> str:
        nodes = [str(node.id) for node in self._client.list_nodes(self.pool_id)]
        return self._random.choice([*nodes, "tvm-none"])

    def _operate(self) -> None:
        operation, name = self._random.choice(list(NODE_OPERATIONS.items()))
        body = {name: self._random.choice(OPTIONS)} if name else None
        path = f"/pools/{self.pool_id}/nodes/{self._node_id()}/{operation}"
        kit.send(self._client, "POST", path, json=body).raise_for_status()

    def _resize(self) -> None:
        options = models.BatchPoolResizeOptions(
            target_dedicated_nodes=self._random.randrange(4),
            target_low_priority_nodes=self._random.randrange(3),
            node_deallocation_option=self._random.choice(OPTIONS),
        )
        self._client.begin_resize_pool(self.pool_id, options, polling_interval=1)

    def _remove(self) -> None:
        options = models.BatchNodeRemoveOptions(
            node_ids=[self._node_id()], node_deallocation_option=self._random.choice(OPTIONS)
        )
        self._client.begin_remove_nodes(self.pool_id, options, polling_interval=1)

    def _preempt(self) -> None:
        self._control.preempt_node(self.pool_id, self._node_id())

    def _stop_scaling(self) -> None:
        self._client.disable_pool_auto_scale(self.pool_id)

    def _scale(self) -> None:
        formula = f"$TargetDedicatedNodes = {self._random.randrange(4)};"
        options = models.BatchPoolEnableAutoScaleOptions(auto_scale_formula=formula)
        self._client.enable_pool_auto_scale(self.pool_id, options)


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_operations(control: Control, one_try: BatchClient, seed: int) -> None:
    """Afterwards the pool can be emptied and filled, and every task runs to its end."""
    churn = Churn(one_try, control, seed)
    for _ in range(STEPS):
        churn.step()

    wait_until(lambda: kit.pool_of(one_try, churn.pool_id).allocation_state == "steady")
    one_try.disable_pool_auto_scale(churn.pool_id)
    empty = {"target_dedicated_nodes": 0, "target_low_priority_nodes": 0}
    kit.resize(one_try, churn.pool_id, **empty, node_deallocation_option="requeue")
    assert not list(one_try.list_nodes(churn.pool_id))
    kit.resize(one_try, churn.pool_id, target_dedicated_nodes=3)
    control.wait_until_idle()

    assert {task.state for task in one_try.list_tasks(churn.job_id)} == {"completed"}
    assert [node.state for node in one_try.list_nodes(churn.pool_id)] == ["idle"] * 3

"""azure-batch 14.2, the SDK of the generation before, against the emulator (`make test-clients`).

A program of its own, run by a Python that has that version: URL, account and key are in the
environment. It ends with exit code 0 if everything was as it should be.
"""

import os
import sys
import time
from collections.abc import Callable

from azure.batch import BatchServiceClient, models
from azure.batch.batch_auth import SharedKeyCredentials

DEADLINE_S = 30


def main() -> None:
    """Make a pool, a job and a task, read what it wrote, and delete all."""
    credentials = SharedKeyCredentials(
        os.environ["AZURE_BATCH_ACCOUNT"], os.environ["AZURE_BATCH_ACCESS_KEY"]
    )
    client = BatchServiceClient(credentials, batch_url=os.environ["AZURE_BATCH_ENDPOINT"])
    image = next(iter(client.account.list_supported_images()))
    client.pool.add(
        models.PoolAddParameter(
            id="old",
            vm_size="standard_d2s_v5",
            target_dedicated_nodes=1,
            virtual_machine_configuration=models.VirtualMachineConfiguration(
                image_reference=image.image_reference, node_agent_sku_id=image.node_agent_sku_id
            ),
        )
    )
    client.job.add(
        models.JobAddParameter(id="old", pool_info=models.PoolInformation(pool_id="old"))
    )
    added = client.task.add_collection(
        "old", [models.TaskAddParameter(id="t", command_line="echo from the old client")]
    )
    wait_until(lambda: client.task.get("old", "t").state == models.TaskState.completed)
    said = b"".join(client.file.get_from_task("old", "t", "stdout.txt"))
    client.job.terminate("old")
    client.job.delete("old")
    client.pool.delete("old")
    wait_until(lambda: not [*client.job.list(), *client.pool.list()])
    expect(added.value[0].status == models.TaskAddStatus.success, added)
    expect(said == b"from the old client\n", said)


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        expect(time.monotonic() < deadline, "not in time")
        time.sleep(0.05)


def expect(holds: object, evidence: object) -> None:
    """End with the evidence if something does not hold."""
    if not holds:
        sys.exit(f"not as expected: {evidence}")


if __name__ == "__main__":
    main()

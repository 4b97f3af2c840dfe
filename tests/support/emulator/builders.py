"""What tests of the Batch emulator are made of: pools, jobs and tasks, and the wait for them."""

import shlex
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from azure.batch import BatchClient, models
from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest, HttpResponse

from tests.support.processes import wait_until

IMAGE = models.VirtualMachineConfiguration(
    image_reference=models.BatchVmImageReference(
        publisher="canonical", offer="ubuntu-24_04-lts", sku="server"
    ),
    node_agent_sku_id="batch.node.ubuntu 24.04",
)


def new_id(noun: str) -> str:
    """Return an id that no other test has."""
    return f"{noun}-{uuid.uuid4().hex[:8]}"


def sh(script: str) -> str:
    """Return a command line that runs a shell script."""
    return f"/bin/sh -c {shlex.quote(script)}"


def pool_options(**options: Any) -> models.BatchPoolCreateOptions:
    """Return what creates a pool of one small node, unless another is asked for."""
    given: dict[str, Any] = {"id": new_id("pool"), "vm_size": "standard_d2s_v5"}
    given |= {"target_dedicated_nodes": 1}
    return models.BatchPoolCreateOptions(virtual_machine_configuration=IMAGE, **given | options)


def a_pool(client: BatchClient, **options: Any) -> str:
    """Create a pool, wait until its nodes can run tasks or have failed, and return its id."""
    pool = pool_options(**options)
    client.create_pool(pool)
    settled = {"idle", "starttaskfailed"}
    wait_until(lambda: pool_of(client, pool.id).allocation_state == "steady")
    wait_until(lambda: {node.state for node in client.list_nodes(pool.id)} <= settled)
    return str(pool.id)


def a_job(client: BatchClient, pool_id: str, **options: Any) -> str:
    """Create a job and return its id."""
    given = {"id": new_id("job"), "pool_info": models.BatchPoolInfo(pool_id=pool_id)}
    job = models.BatchJobCreateOptions(**given | options)
    client.create_job(job)
    return str(job.id)


def task_options(command: str = "true", **options: Any) -> models.BatchTaskCreateOptions:
    """Return what creates a task."""
    return models.BatchTaskCreateOptions(
        **{"id": new_id("task"), "command_line": command} | options
    )


def a_task(client: BatchClient, job_id: str, command: str = "true", **options: Any) -> str:
    """Create a task and return its id."""
    task = task_options(command, **options)
    client.create_task(job_id, task)
    return str(task.id)


def constraints(
    *, retries: int = 0, limit_s: float | None = None, retention_s: float | None = None
) -> models.BatchTaskConstraints:
    """Return constraints of a task."""
    return models.BatchTaskConstraints(
        max_task_retry_count=retries,
        max_wall_clock_time=None if limit_s is None else timedelta(seconds=limit_s),
        retention_time=None if retention_s is None else timedelta(seconds=retention_s),
    )


def pool_of(client: BatchClient, pool_id: str) -> models.BatchPool:
    """Return a pool as it is now."""
    return client.get_pool(pool_id)


def node_of(client: BatchClient, pool_id: str) -> models.BatchNode:
    """Return the only node of a pool."""
    (node,) = client.list_nodes(pool_id)
    return node


def info_of(task: models.BatchTask) -> models.BatchTaskExecutionInfo:
    """Return what is known of a task's runs."""
    assert task.execution_info is not None
    return task.execution_info


def failure_code(task: models.BatchTask) -> str | None:
    """Return the code of a task's failure; None if it has not failed."""
    failure = info_of(task).failure_info
    return failure.code if failure else None


def reach(client: BatchClient, job_id: str, task_id: str, state: str) -> models.BatchTask:
    """Wait until a task is in a state and return it."""
    wait_until(lambda: client.get_task(job_id, task_id).state == state)
    return client.get_task(job_id, task_id)


def run(client: BatchClient, job_id: str, command: str, **options: Any) -> models.BatchTask:
    """Run a task to its end and return it."""
    return reach(client, job_id, a_task(client, job_id, command, **options), "completed")


def read(client: BatchClient, job_id: str, task_id: str, path: str = "stdout.txt") -> str:
    """Return a text file of a task."""
    return b"".join(client.download_task_file(job_id, task_id, path)).decode()


def said(client: BatchClient, job_id: str, script: str, **options: Any) -> str:
    """Run a shell script as a task and return what it wrote to stdout."""
    task = run(client, job_id, sh(script), **options)
    assert task.id is not None
    return read(client, job_id, task.id)


def send(client: BatchClient, method: str, path: str, **options: Any) -> HttpResponse:
    """Send what the SDK has no method for, signed by the SDK, and return the answer."""
    request = HttpRequest(method, f"{path}?api-version=2025-06-01", **options)
    return client.send_request(request)


def terminate_job(client: BatchClient, job_id: str, reason: str | None = None) -> None:
    """Ask for the end of a job, without waiting for it."""
    # The SDK sends no such request without a body, and hides the model of the body.
    body = {"terminateReason": reason} if reason else None
    send(client, "POST", f"/jobs/{job_id}/terminate", json=body).raise_for_status()


def delete_pool(client: BatchClient, pool_id: str) -> None:
    """Delete a pool and wait until it is gone."""
    client.begin_delete_pool(pool_id, polling_interval=1)
    wait_until(lambda: pool_id not in {pool.id for pool in client.list_pools()})


def delete_job(client: BatchClient, job_id: str) -> None:
    """Delete a job and wait until it is gone."""
    client.begin_delete_job(job_id, polling_interval=1)
    wait_until(lambda: job_id not in {job.id for job in client.list_jobs()})


def resize(client: BatchClient, pool_id: str, **options: Any) -> None:
    """Resize a pool and wait until it is steady."""
    client.begin_resize_pool(pool_id, models.BatchPoolResizeOptions(**options), polling_interval=1)
    wait_until(lambda: pool_of(client, pool_id).allocation_state == "steady")


@contextmanager
def refused(status: int, code: str) -> Iterator[pytest.ExceptionInfo[HttpResponseError]]:
    """Check that the body of the block is answered with an error."""
    with pytest.raises(HttpResponseError) as caught:
        yield caught
    model = getattr(caught.value, "error", None)
    assert (caught.value.status_code, model and model.code) == (status, code)


@contextmanager
def no_download(status: int) -> Iterator[None]:
    """Check that a download in the block fails, and end the connection that the SDK leaves open."""
    with pytest.raises(HttpResponseError) as caught:
        yield
    assert isinstance(caught.value.response, HttpResponse)
    caught.value.response.close()
    assert caught.value.status_code == status

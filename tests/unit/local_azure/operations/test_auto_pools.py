"""What becomes of a job whose own pool cannot be made, on an account that nothing schedules."""

from pathlib import Path
from typing import Any

from local_azure.batch.calls.call import Call
from local_azure.batch.controls.clock import Clock
from local_azure.batch.operations import jobs
from local_azure.batch.state.account import Account
from local_azure.batch.state.service import BatchService
from local_azure.batch.state.store import Store


def test_no_pool_left_in_the_quota() -> None:
    """The job is there, with a scheduling error instead of a pool."""
    pool = {
        "vmSize": "standard_d2s_v5",
        "virtualMachineConfiguration": {"imageReference": {}, "nodeAgentSKUId": "x"},
    }
    automatic = {"poolLifetimeOption": "job", "pool": pool}
    body = {"id": "j", "poolInfo": {"autoPoolSpecification": automatic}}
    service = BatchService(
        account=Account(name="a", key="", pool_quota=0),
        store=Store(),
        clock=Clock(),
        nodes_dir=Path("unused"),
    )
    given: dict[str, Any] = {"base_url": "http://host", "path": "/", "query": {}, "headers": {}}

    jobs.create_job(Call(service=service, ids={}, body=body, **given))

    view = jobs.get_job(Call(service=service, ids={"job_id": "j"}, **given)).body
    assert view is not None
    assert view["executionInfo"]["schedulingError"]["code"] == (
        "AutoPoolCreationFailedWithQuotaReached"
    )
    assert "poolId" not in view["executionInfo"]

"""Judging what the service says about each batch task of a collection."""

import pytest
from azure.batch.models import BatchTaskCreateResult

from prefect_azure_batch.errors import BatchTasksRefused
from prefect_azure_batch.running.submission import taken_ids
from prefect_azure_batch.service.outages import is_retryable


def result(status: str, code: str = "") -> BatchTaskCreateResult:
    """Return what the service says about one batch task of a collection."""
    return BatchTaskCreateResult(
        {"status": status, "taskId": f"{status}-{code}", "error": {"code": code}}
    )


def test_batch_tasks_that_are_there_already() -> None:
    """A batch task that exists is one of ours, from a call whose answer was lost."""
    results = [result("Success"), result("clienterror", "TaskExists")]

    assert taken_ids("job", results) == {"Success-", "clienterror-TaskExists"}


def test_service_takes_the_blame() -> None:
    """What the service could not take for the moment is not there, and no error yet."""
    results = [result("success"), result("ServerError", "Whatever")]

    assert taken_ids("job", results) == {"success-"}


def test_refused_for_good() -> None:
    """A batch task that the service will never take is an error with its id and code."""
    results = [result("servererror", "ServerBusy"), result("ClientError", "InvalidInput")]

    with pytest.raises(BatchTasksRefused, match=r"ClientError-InvalidInput \(Inv") as raised:
        taken_ids("job", results)

    assert not is_retryable(raised.value)


def test_many_refused() -> None:
    """An error about a hundred batch tasks names a few, and says how many there are."""
    results = [result("clienterror", f"Invalid{number}") for number in range(100)]

    with pytest.raises(BatchTasksRefused, match=r"Invalid4\) and 95 more$"):
        taken_ids("job", results)

"""Lists and single entities of the Batch emulator: pages, filters, projections, conditions."""

from datetime import UTC, datetime, timedelta

import pytest
from azure.batch import BatchClient, models
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceModifiedError

from tests.support.emulator import builders as kit
from tests.support.emulator.emulators import Emulator
from tests.support.emulator.raw_http import VERSION, ask


def test_small_pages_give_the_whole_list(batch: BatchClient) -> None:
    """The page size does not limit a list; nothing is missing and nothing twice."""
    job_id = kit.a_job(batch, "none")
    ids = [kit.a_task(batch, job_id) for _ in range(7)]

    assert [task.id for task in batch.list_tasks(job_id, max_results=2)] == ids


def test_pages_end_where_the_list_does(emulator: Emulator, batch: BatchClient) -> None:
    """A last full page has no link to an empty one."""
    for _ in range(2):
        kit.a_job(batch, "none")

    first = ask(emulator, "GET", f"/jobs?{VERSION}&maxresults=1").json
    whole = ask(emulator, "GET", f"/jobs?{VERSION}&maxresults=2").json

    assert first["odata.nextLink"].startswith(f"{emulator.url}/jobs?")
    assert "odata.nextLink" not in whole


def test_pages_of_long_entities_are_short(emulator: Emulator, batch: BatchClient) -> None:
    """A page has some megabytes, not gigabytes; the whole list comes all the same."""
    job_id = kit.a_job(batch, "none")
    ids = [kit.a_task(batch, job_id, f"echo {'x' * 900_000}") for _ in range(10)]

    first = ask(emulator, "GET", f"/jobs/{job_id}/tasks?{VERSION}")

    assert len(first.body) < 6_000_000
    assert first.json["odata.nextLink"]
    assert [task.id for task in batch.list_tasks(job_id)] == ids


def test_deletions_between_pages_lose_nothing(batch: BatchClient) -> None:
    """Pages go on after the last entity seen, whatever became of it."""
    job_id = kit.a_job(batch, "none")
    ids = [kit.a_task(batch, job_id) for _ in range(4)]
    pages = batch.list_tasks(job_id, max_results=2).by_page()

    seen = [task.id for task in next(pages)]
    for task_id in seen:
        batch.delete_task(job_id, str(task_id))
    seen += [task.id for task in next(pages)]

    assert seen == ids


@pytest.mark.parametrize("size", ["0", "1001", "x", "-1", "%C2%B2"])
def test_page_sizes_out_of_range(emulator: Emulator, size: str) -> None:
    """A page has 1 to 1000 entities."""
    answer = ask(emulator, "GET", f"/jobs?{VERSION}&maxresults={size}")

    assert (answer.status, answer.json["code"]) == (400, "OutOfRangeQueryParameterValue")


def test_a_filter_chooses(batch: BatchClient) -> None:
    """Only what the filter holds for is listed."""
    for number in range(5):
        kit.a_job(batch, "none", priority=number)

    chosen = batch.list_jobs(filter="priority ge 1 and (priority lt 3 or priority eq 4)")

    assert [job.priority for job in chosen] == [1, 2, 4]


def test_a_filter_goes_with_pages(batch: BatchClient) -> None:
    """Pages are of what is chosen."""
    for number in range(6):
        kit.a_job(batch, "none", priority=number)

    pages = batch.list_jobs(filter="priority ge 3", max_results=2).by_page()

    assert [len(list(page)) for page in pages] == [2, 1]


def test_a_filter_reaches_into_execution_info(batch: BatchClient, job: str) -> None:
    """Failed tasks are found by their result and their exit code."""
    kit.run(batch, job, "true")
    failed = kit.run(batch, job, "false")

    query = "executionInfo/result eq 'Failure' and executionInfo/exitCode ne 0"

    assert [task.id for task in batch.list_tasks(job, filter=query)] == [failed.id]


@pytest.mark.parametrize(
    "query", ["nonsense eq 1", "state is 'active'", "state eq", "(state eq 'active'", "'a' eq id"]
)
def test_filters_that_are_not_valid(batch: BatchClient, query: str) -> None:
    """They are refused, never ignored."""
    with kit.refused(400, "InvalidQueryParameterValue"):
        list(batch.list_jobs(filter=query))


def test_select_leaves_out_the_rest(batch: BatchClient) -> None:
    """Only what was asked for comes, of lists and of single entities."""
    job_id = kit.a_job(batch, "none")

    alone = batch.get_job(job_id, select=["id", "state"])
    listed = next(iter(batch.list_jobs(select=["id"])))

    assert alone.as_dict().keys() - {"odata.metadata"} == {"id", "state"}
    assert listed.as_dict() == {"id": job_id}


def test_a_select_of_what_does_not_exist(batch: BatchClient) -> None:
    """It is refused."""
    with kit.refused(400, "InvalidQueryParameterValue"):
        list(batch.list_jobs(select=["nonsense"]))


def test_expand_is_accepted(batch: BatchClient) -> None:
    """Statistics may be asked for; there are none."""
    pool_id = kit.a_pool(batch, target_dedicated_nodes=0)

    assert batch.get_pool(pool_id, expand=["stats"]).id == pool_id


def test_etags_change_with_writes_only(batch: BatchClient, job: str) -> None:
    """A task's run leaves its ETag alone; a replacement does not."""
    task_id = kit.a_task(batch, job)
    before = batch.get_task(job, task_id).etag
    while batch.get_task(job, task_id).state != "completed":
        pass
    assert batch.get_task(job, task_id).etag == before

    old = batch.get_job(job).etag
    batch.update_job(job, models.BatchJobUpdateOptions(priority=1))

    assert batch.get_job(job).etag != old


def test_a_write_with_the_right_etag(batch: BatchClient) -> None:
    """The SDK sends it in quotes, the service in none."""
    job_id = kit.a_job(batch, "none")

    batch.update_job(
        job_id,
        models.BatchJobUpdateOptions(priority=1),
        etag=batch.get_job(job_id).etag,
        match_condition=MatchConditions.IfNotModified,
    )

    assert batch.get_job(job_id).priority == 1


def test_a_write_with_a_stale_etag(batch: BatchClient) -> None:
    """It is refused with 412, for deletions too."""
    pool_id = kit.a_pool(batch, target_dedicated_nodes=0)
    with kit.refused(412, "ConditionNotMet"):
        batch.begin_delete_pool(
            pool_id,
            polling_interval=1,
            etag="0x8D0",
            match_condition=MatchConditions.IfNotModified,
        )
    assert kit.pool_of(batch, pool_id).state == "active"


def test_a_read_of_what_has_not_changed(batch: BatchClient) -> None:
    """It is 304, without a body."""
    job_id = kit.a_job(batch, "none")
    with pytest.raises(ResourceModifiedError) as caught:
        batch.get_job(
            job_id,
            etag=batch.get_job(job_id).etag,
            match_condition=MatchConditions.IfModified,
        )
    assert caught.value.status_code == 304


@pytest.mark.parametrize(("hours", "status"), [(-1, 200), (1, 304)])
def test_a_read_if_modified_since(batch: BatchClient, hours: int, status: int) -> None:
    """Dates are compared to the second."""
    job_id = kit.a_job(batch, "none")
    since = datetime.now(UTC) + timedelta(hours=hours)
    if status == 200:
        assert batch.get_job(job_id, if_modified_since=since).id == job_id
        return
    with pytest.raises(HttpResponseError) as caught:
        batch.get_job(job_id, if_modified_since=since)
    assert caught.value.status_code == status


def test_a_condition_that_is_no_date(emulator: Emulator, batch: BatchClient) -> None:
    """It is refused."""
    job_id = kit.a_job(batch, "none")

    answer = ask(emulator, "GET", f"/jobs/{job_id}?{VERSION}", if_modified_since="yesterday")

    assert (answer.status, answer.json["code"]) == (400, "InvalidHeaderValue")

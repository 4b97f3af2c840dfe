"""The job of an attempt: made only if there is something to do, and for the time that is left."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect import flow

from prefect_azure_batch.collecting.publish import estimate_node_use
from prefect_azure_batch.engine.levels import Levels
from prefect_azure_batch.engine.stopwatch import Phases
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.tasks import Failure, PlannedTask
from prefect_azure_batch.ownership.deletion import Kinds, delete_leftovers
from prefect_azure_batch.running.job import create_job, end_job_with_last_task
from prefect_azure_batch.service.clients import Services, lowered
from prefect_azure_batch.settings import JobSettings, PoolSettings
from tests.support.processes import wait_until

pytestmark = pytest.mark.usefixtures("prefect_harness", "nothing_left")

PLANNED = PlannedTask("topNtask0", ("a.txt",), (), (), ("a_OUTPUT.txt",), ("a_OUTPUT.txt",))


@pytest.fixture
def run(services: Services, make_run: Callable[[], Run]) -> Iterator[Run]:
    """A run with all its resources."""
    run = make_run()
    yield run
    delete_leftovers(services, run.in_attempt(9), Kinds(), timeout_s=60)


@pytest.fixture
def count(services: Services, run: Run, tmp_path: Path) -> Callable[[], list[Failure]]:
    """Run the one batch task in a flow; `begun` in the folder tells whether a job was wanted."""
    begin = (tmp_path / "begun").touch
    levels = Levels(services, run, PoolSettings(), JobSettings(), tmp_path, Phases("all"), begin)

    @flow
    def counted() -> list[Failure]:
        """Run what is not done."""
        return levels.count([[PLANNED]])

    return counted


def test_done_work_needs_no_job(
    services: Services, run: Run, count: Callable[[], list[Failure]], tmp_path: Path
) -> None:
    """If all outputs are there, they are downloaded, and neither pool nor job is asked for."""
    services.blobs.get_blob_client(run.output_container, "a_OUTPUT.txt").upload_blob(b"A")

    assert count() == []

    assert (tmp_path / "a_OUTPUT.txt").read_bytes() == b"A"
    assert not (tmp_path / "begun").exists()


def test_job_that_ended_before_the_last_batch_task_was_in(
    services: Services, run: Run, count: Callable[[], list[Failure]]
) -> None:
    """What a job that an earlier process told to end takes no more is for the next attempt."""
    end_job_with_last_task(services, run)
    wait_until(lambda: lowered(services.batch.get_job(run.job_id).state) == "completed")

    (lost,) = count()

    assert (lost.inputs, lost.ending.message) == (("a.txt",), "the job had ended")


def test_job_ends_before_the_deadline(services: Services, run: Run) -> None:
    """A job of a later attempt has the time that is left, for SAS URLs hold no longer."""
    deadline = datetime.now(UTC) + timedelta(minutes=10)
    later = run.model_copy(update={"deadline": deadline, "attempt": 2})

    create_job(services, later, JobSettings())

    limit = services.batch.get_job(later.job_id).constraints
    assert limit is not None
    assert limit.max_wall_clock_time is not None
    assert timedelta(minutes=9) < limit.max_wall_clock_time <= timedelta(minutes=10)


def test_pool_that_somebody_deleted_fails_no_run(services: Services, run: Run) -> None:
    """When all outputs are there, a pool that is gone only leaves out what it was used for."""
    assert estimate_node_use(services, run.in_attempt(7), PoolSettings(), 1.0) is None

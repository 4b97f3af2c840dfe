"""The job of an attempt: made only if there is something to do, and for the time that is left."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from prefect import flow

from flows.word_count.result import Result
from flows.word_count.workload import WordCount
from prefect_azure_batch.collecting.publish import estimate_node_use
from prefect_azure_batch.engine.levels import Levels
from prefect_azure_batch.engine.run_job import run_job
from prefect_azure_batch.model.result import Failure
from prefect_azure_batch.model.run import EVERY_ATTEMPT, Run, new_run
from prefect_azure_batch.model.tasks import InputFile
from prefect_azure_batch.ownership.deletion import KindsToDelete, delete_leftovers
from prefect_azure_batch.ownership.heartbeat import Heartbeat
from prefect_azure_batch.running.job import create_job, end_job_with_last_task
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import RunContext, WorkContext
from prefect_azure_batch.service.refusals import lowered
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings
from prefect_azure_batch.staging.containers import create_containers, upload_files
from tests.pipeline.conftest import leftovers
from tests.support.contexts import a_context
from tests.support.processes import wait_until

pytestmark = pytest.mark.usefixtures("prefect_harness", "nothing_left")

QUICK = JobSettings(poll_interval_s=0.3)
OUTPUT = b"-----\nword\t1\n-----\n"


@pytest.fixture
def run(services: Services, make_run: Callable[[], Run]) -> Iterator[Run]:
    """A run with all its resources."""
    run = make_run()
    yield run
    delete_all(services, run)


@pytest.fixture
def new(services: Services) -> Iterator[Run]:
    """A run of which nothing is there yet."""
    run = new_run(uuid4(), 0, JobSettings(), CleanUpPolicy())
    yield run
    delete_all(services, run)


def delete_all(services: Services, run: Run) -> None:
    """Delete what is there of a run, in any attempt."""
    context = RunContext.of(services, run.in_attempt(EVERY_ATTEMPT))
    delete_leftovers(context, KindsToDelete(), timeout_s=60)


def counting(services: Services, run: Run, folder: Path) -> WorkContext:
    """Return the context of a run that counts the words of one file."""
    path = folder / "a.txt"
    path.write_text("word")
    sources = [InputFile("a.txt", 4, str(path))]
    levels = WordCount().plan(run, sources, PoolSettings())
    return a_context(services, run, job=QUICK, inputs=sources, levels=levels, folder=folder)


def counted(context: WorkContext) -> Result:
    """Take all steps of a run, in a flow, as the process that has it."""
    heartbeat = Heartbeat(context.blobs, context.run, UUID(context.run.flow_run_id))
    guarded = replace(context, guard=heartbeat.check)

    @flow
    def job() -> Result:
        """Return the words."""
        result = run_job(guarded, heartbeat)
        assert isinstance(result, Result)
        return result

    try:
        return job()
    finally:
        heartbeat.stop()


def lost_in(context: WorkContext) -> list[Failure]:
    """Run the one level, in a flow, on the job that is there; return what has no outputs."""
    (level,) = context.levels

    @flow
    def levels() -> list[Failure]:
        """Run what is not done."""
        with Levels(context).run(level) as level_run:
            level_run.add()
            level_run.wait()
            return level_run.finish_downloads()

    return levels()


def test_done_work_needs_no_job(services: Services, new: Run, tmp_path: Path) -> None:
    """If all outputs are there, they are downloaded, and neither pool nor job is asked for."""
    context = counting(services, new, tmp_path)
    create_containers(context)
    upload_files(context)
    services.blobs.get_blob_client(new.output_container, "a_OUTPUT.txt").upload_blob(OUTPUT)

    assert counted(context).words == {"a.txt": [("word", 1)]}

    assert (tmp_path / "a_OUTPUT.txt").read_bytes() == OUTPUT
    assert leftovers(services) == [f"container {name}" for name in sorted(new.containers)]


def test_job_that_ended_before_the_last_batch_task_was_in(
    services: Services, run: Run, tmp_path: Path
) -> None:
    """What a job that an earlier process has set to end takes no more is for the next attempt."""
    context = counting(services, run, tmp_path)
    end_job(context)

    (lost,) = lost_in(context)

    assert (lost.inputs, lost.ending.message) == (("a.txt",), "the job had ended")


def test_next_attempt_does_what_the_ended_job_did_not_take(
    services: Services, run: Run, tmp_path: Path
) -> None:
    """It does so with a pool and a job of its own, and those of the attempt before go."""
    context = counting(services, run, tmp_path)
    end_job(context)

    assert counted(context).words == {"a.txt": [("word", 1)]}

    names = set(leftovers(services))
    assert names >= {f"pool {run.name}-2", f"job {run.name}-2"}
    assert names.isdisjoint({f"pool {run.name}-1", f"job {run.name}-1"})


def end_job(context: WorkContext) -> None:
    """Have the job, which has no batch task, end by itself."""
    end_job_with_last_task(context)
    job_id = context.run.job_id
    wait_until(lambda: lowered(context.batch.get_job(job_id).state) == "completed")


def test_job_ends_before_the_deadline(services: Services, run: Run) -> None:
    """A job of a later attempt has the time that is left, for SAS URLs hold no longer."""
    deadline = datetime.now(UTC) + timedelta(minutes=10)
    later = run.model_copy(update={"deadline": deadline, "attempt": 2})

    create_job(a_context(services, later))

    limit = services.batch.get_job(later.job_id).constraints
    assert limit is not None
    assert limit.max_wall_clock_time is not None
    assert timedelta(minutes=9) < limit.max_wall_clock_time <= timedelta(minutes=10)


def test_pool_that_somebody_deleted_fails_no_run(services: Services, run: Run) -> None:
    """When all outputs are there, a pool that is gone only leaves out what it was used for."""
    assert estimate_node_use(a_context(services, run.in_attempt(7)), 1.0) is None

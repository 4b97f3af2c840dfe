"""Attempts: what a resumed run continues, and what it leaves behind and begins anew."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from azure.storage.blob import BlobBlock

from prefect_azure_batch.collecting.verified_files import verified_outputs
from prefect_azure_batch.engine.attempts import find_run, open_attempt
from prefect_azure_batch.errors import ConfigurationError, RunIsAlive, RunTakenOver
from prefect_azure_batch.model.run import Run, new_run
from prefect_azure_batch.model.workload import Workload
from prefect_azure_batch.ownership.deletion import KindsToDelete, delete_leftovers, find_leftovers
from prefect_azure_batch.ownership.heartbeat import Heartbeat
from prefect_azure_batch.running.job import create_job, end_job_with_last_task
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import RunContext
from prefect_azure_batch.service.refusals import lowered
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings
from prefect_azure_batch.staging.containers import upload_files
from prefect_azure_batch.workloads.python_program import PythonProgram
from tests.pipeline.conftest import marked_waste
from tests.support.contexts import WORD_COUNT, a_context
from tests.support.emulator.builders import a_pool, sh, task_options
from tests.support.processes import wait_until

pytestmark = pytest.mark.usefixtures("prefect_harness", "nothing_left")

SAME = "the flow run itself"


@pytest.fixture
def open_again(services: Services) -> Iterator[Callable[..., Run]]:
    """Open an attempt of a run as a new process does; at the end all of them stop."""
    made = []

    def begin(run: Run, holder: str = SAME, workload: Workload[Any] = WORD_COUNT) -> Run:
        """Take the run for a flow run, which is its own unless another is named."""
        made.append(
            Heartbeat(services.blobs, run, UUID(run.flow_run_id if holder is SAME else holder))
        )
        context = a_context(services, run.in_attempt(0), workload=workload)
        return run.in_attempt(open_attempt(context, made[-1]))

    yield begin
    for heartbeat in made:
        heartbeat.stop()


@pytest.fixture
def run(
    services: Services, make_run: Callable[[], Run], open_again: Callable[..., Run]
) -> Iterator[Run]:
    """A run with all its resources, in its first attempt, whose process is gone."""
    run = make_run()
    assert open_again(run) == run
    yield run
    delete_leftovers(RunContext.of(services, run.in_attempt(9)), KindsToDelete(), timeout_s=60)


def states(services: Services, run: Run) -> tuple[str, str]:
    """Return the states of an attempt's job and pool."""
    job, pool = services.batch.get_job(run.job_id), services.batch.get_pool(run.pool_id)
    return lowered(job.state), lowered(pool.state)


def test_active_job_is_continued(
    services: Services, run: Run, open_again: Callable[..., Run]
) -> None:
    """If job and pool of the last attempt are active, the resumed run continues them."""
    assert open_again(run) == run

    assert states(services, run) == ("active", "active")


def test_marks_are_renewed(services: Services, run: Run, open_again: Callable[..., Run]) -> None:
    """What a resumed run takes over may live as long as what it would have made itself."""
    later = run.model_copy(update={"delete_after": run.delete_after + timedelta(days=1)})

    open_again(later)

    wanted = datetime.fromisoformat(later.metadata["delete_after"])
    assert marked_waste(services, run) == wanted
    for marks in (
        services.batch.get_job(run.job_id).metadata or [],
        services.batch.get_pool(run.pool_id).metadata or [],
    ):
        assert {item.name: item.value for item in marks} == later.metadata


def test_ended_job_is_left_behind(
    services: Services, run: Run, open_again: Callable[..., Run]
) -> None:
    """If the job has ended, the next attempt is opened, and what is left of the last one goes."""
    end_job_with_last_task(RunContext.of(services, run))
    wait_until(lambda: states(services, run)[0] == "completed")

    opened = open_again(run)

    assert opened.attempt == 2
    assert len(find_leftovers(RunContext.of(services, run))) == 3


def test_job_with_a_failure_is_left_behind(
    services: Services, run: Run, open_again: Callable[..., Run]
) -> None:
    """A batch task that failed stays so in its job: the next attempt runs it again."""
    services.batch.create_task(run.job_id, task_options(sh("exit 3")))
    wait_until(lambda: services.batch.get_job_task_counts(run.job_id).task_counts.failed == 1)

    assert open_again(run).attempt == 2


def test_lost_pool_is_left_behind(
    services: Services, run: Run, open_again: Callable[..., Run]
) -> None:
    """A job without its pool is of no use: the next attempt has both."""
    delete_leftovers(
        RunContext.of(services, run), KindsToDelete(containers=False, job=False), timeout_s=60
    )

    assert open_again(run).attempt == 2


def test_another_pool_has_another_attempt(
    services: Services, run: Run, open_again: Callable[..., Run]
) -> None:
    """A job stays on its pool: resumed on an existing one, a run has a new job there."""
    theirs = a_pool(services.batch)

    assert open_again(run.on_pool(theirs)).attempt == 2

    assert services.batch.get_pool(theirs).state == "active"
    services.batch.begin_delete_pool(theirs, polling_interval=1)
    wait_until(lambda: theirs not in {pool.id for pool in services.batch.list_pools()})


def test_another_program_has_another_attempt(
    services: Services, run: Run, open_again: Callable[..., Run], tmp_path: Path
) -> None:
    """Nodes have got their program already: one that was changed since needs others."""
    program = tmp_path / "mine.py"
    program.write_text("first")
    workload = PythonProgram(str(program))
    upload_files(a_context(services, run, workload=workload))
    assert open_again(run, workload=workload) == run

    program.write_text("second")

    assert open_again(run, workload=workload).attempt == 2


def test_existing_pool_is_not_looked_for(
    services: Services, run: Run, open_again: Callable[..., Run]
) -> None:
    """On an existing pool the job alone decides, and the pool keeps its marks."""
    other = run.model_copy(update={"existing_pool_id": run.pool_id, "attempt": 1})
    later = other.model_copy(update={"delete_after": run.delete_after + timedelta(days=1)})

    assert open_again(later).attempt == 1

    marks = services.batch.get_pool(run.pool_id).metadata or []
    assert {item.name: item.value for item in marks} == run.metadata


def test_another_flow_run_must_wait(run: Run, open_again: Callable[..., Run]) -> None:
    """A run that had a heartbeat a moment ago is not resumed by another flow run."""
    with pytest.raises(RunIsAlive, match=f"{run.name} is alive.*600 s"):
        open_again(run, uuid4().hex)


def test_run_to_resume_is_found(services: Services, run: Run) -> None:
    """A run that has left something can be resumed; else the error names those that have."""
    find_run(RunContext.of(services, run))
    nobody = new_run(uuid4(), 0, JobSettings(), CleanUpPolicy())

    with pytest.raises(
        ConfigurationError, match=rf"nothing is left of run {nobody.name}.*{run.name}"
    ):
        find_run(RunContext.of(services, nobody))


def test_verified_outputs(services: Services, run: Run) -> None:
    """An output counts as there if it is not empty and the service has its MD5."""
    container = services.blobs.get_container_client(run.output_container)
    container.upload_blob("good.txt", b"text")
    container.upload_blob("folder/good.txt", b"text")
    container.upload_blob("empty.txt", b"")
    container.get_blob_client("unchecked.txt").stage_block("0001", b"text")
    container.get_blob_client("unchecked.txt").commit_block_list([BlobBlock("0001")])

    assert verified_outputs(a_context(services, run)) == {"good.txt", "folder/good.txt"}


def test_step_of_a_lost_run_does_not_begin(
    services: Services, run: Run, open_again: Callable[..., Run]
) -> None:
    """No step begins any more in a process whose run another one has taken over."""
    old = Heartbeat(services.blobs, run, UUID(run.flow_run_id))
    old.take(limit_s=0, age_s=0)
    open_again(run)
    with pytest.raises(RunTakenOver):
        old.renew()

    with pytest.raises(RunTakenOver, match=run.name):
        create_job(a_context(replace(services, guard=old.check), run.in_attempt(2)))

    assert len(find_leftovers(RunContext.of(services, run.in_attempt(2)))) == 5

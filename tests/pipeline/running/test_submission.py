"""Batch tasks on their way into a job, with a service that is busy, slow or strict."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from time import monotonic
from uuid import uuid4

import pytest

from blocks import AzureBatchCredentials
from local_azure.batch.controls.faults import Kind, Rule
from local_azure.client import Control
from local_azure.stack import LocalAzure
from prefect_azure_batch.errors import (
    BatchTasksRefused,
    BatchTaskTooLarge,
    ServiceError,
    SubmissionTimedOut,
)
from prefect_azure_batch.model.run import Run, new_run
from prefect_azure_batch.model.tasks import BlobPlace, NodeFile, PlannedTask
from prefect_azure_batch.running.submission import add_batch_tasks
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings
from tests.support.contexts import a_context
from tests.support.emulator.builders import a_job, a_pool
from tests.support.pipeline.relay import Relay, reply

pytestmark = pytest.mark.usefixtures("prefect_harness")

JOB = JobSettings()
ADD = "create_task_collection"


def planned(number: int, num_files: int = 1) -> PlannedTask:
    """Plan a batch task whose files are not there; each takes two kilobytes to list."""
    names = [f"{name:0>900}" for name in range(num_files)]
    files = tuple(NodeFile(BlobPlace("absent", name), name) for name in names)
    return PlannedTask(f"topNtask{number}", (f"{number}.txt",), (), files, (), ())


def many(count: int, num_files: int = 1) -> list[PlannedTask]:
    """Plan some batch tasks."""
    return [planned(number, num_files) for number in range(count)]


def ids(services: Services, run: Run) -> set[str]:
    """Return the ids of a job's batch tasks."""
    return {str(task.id) for task in services.batch.list_tasks(run.job_id, select=["id"])}


def a_run(services: Services, num_nodes: int) -> Run:
    """Make a run with an empty job on a pool of so many nodes."""
    run = new_run(uuid4(), 1, JOB, CleanUpPolicy())
    a_pool(services.batch, id=run.pool_id, target_dedicated_nodes=num_nodes)
    a_job(services.batch, run.pool_id, id=run.job_id)
    return run


@pytest.fixture
def run(controlled_services: Services) -> Run:
    """A run with an empty job, whose batch tasks wait for nodes."""
    return a_run(controlled_services, 0)


@pytest.fixture
def calls(control: Control) -> Callable[[], int]:
    """Count the calls that add batch tasks, from now on."""
    number = control.add_fault(Rule(kind=Kind.LATENCY, operation=ADD))
    return lambda: next(rule["hits"] for rule in control.faults() if rule["id"] == number)


def test_hundreds_go_in_collections(
    controlled_services: Services, run: Run, calls: Callable[[], int]
) -> None:
    """Every batch task is in the job, with a hundred to a call."""
    add_batch_tasks(a_context(controlled_services, run), many(250))

    assert ids(controlled_services, run) == {item.id for item in many(250)}
    assert calls() == 3


def test_what_is_missing_is_added(controlled_services: Services, run: Run) -> None:
    """Repeated after a part of it was done, the step adds the rest."""
    add_batch_tasks(a_context(controlled_services, run), many(3))

    add_batch_tasks(a_context(controlled_services, run), many(120))

    assert len(ids(controlled_services, run)) == 120


def test_large_ones_go_in_smaller_collections(
    controlled_services: Services, run: Run, calls: Callable[[], int]
) -> None:
    """Collections of more than a megabyte are halved, and later ones are small from the start."""
    add_batch_tasks(a_context(controlled_services, run), many(300, num_files=12))

    assert len(ids(controlled_services, run)) == 300
    # Four at a time are too large with 100 and with 50 batch tasks, then 25 fit.
    assert 12 < calls() <= 12 + 8


def test_one_that_is_too_large(controlled_services: Services, run: Run) -> None:
    """A batch task that fits into no call is an error that names it and the setting."""
    with pytest.raises(BatchTaskTooLarge, match=r"topNtask1 \(600 .*files_per_batch_task"):
        add_batch_tasks(
            a_context(controlled_services, run), [planned(0), planned(1, num_files=600)]
        )


def test_one_with_too_many_files(controlled_services: Services, run: Run, control: Control) -> None:
    """A list of files that is too long for the service is an error that names the setting."""
    rule = Rule(kind=Kind.ERROR, operation=ADD, code="RequestEntityTooLarge", status=413)
    control.add_fault(rule)

    with pytest.raises(BatchTaskTooLarge, match=r"topNtask0 \(1 files.*files_per_batch_task"):
        add_batch_tasks(a_context(controlled_services, run), [planned(0)])


def test_busy_service_is_asked_again(
    controlled_services: Services, run: Run, control: Control
) -> None:
    """What a busy service refuses, or takes without an answer, is sent until it is in."""
    control.add_fault(Rule(kind=Kind.ERROR, operation=ADD, first=1))
    control.add_fault(Rule(kind=Kind.LOST, operation=ADD, every=2, first=1))

    add_batch_tasks(a_context(controlled_services, run), many(250))

    assert len(ids(controlled_services, run)) == 250


def test_service_that_stays_busy(controlled_services: Services, run: Run, control: Control) -> None:
    """At the time limit the error says how many are in, why, and which setting to raise."""
    add_batch_tasks(a_context(controlled_services, run), many(2))
    control.add_fault(Rule(kind=Kind.ERROR, operation=ADD))
    job = JOB.model_copy(update={"submission_timeout_s": 1})
    began = monotonic()

    with pytest.raises(
        SubmissionTimedOut, match=r"0 of 3 .* 1 s \(.*ServerBusy.*submission_timeout_s"
    ):
        add_batch_tasks(a_context(controlled_services, run, job=job), many(3))

    assert monotonic() - began < 5


def test_silent_service(controlled_services: Services, run: Run, control: Control) -> None:
    """A service that does not answer in time is not waited for."""
    control.add_fault(Rule(kind=Kind.LATENCY, operation=ADD, seconds=4))
    job = JOB.model_copy(update={"submission_timeout_s": 1})

    with pytest.raises(SubmissionTimedOut, match=r"0 of 3 .* slow"):
        add_batch_tasks(a_context(controlled_services, run, job=job), many(3))


@pytest.fixture
def doubtful(controlled_azure: LocalAzure, controlled_services: Services) -> Iterator[Services]:
    """The services, with a Batch that fails to add the batch tasks of the first call."""
    environment = dict(controlled_azure.environment)
    error = {"code": "InternalError"}
    results = [{"taskId": item.id, "status": "servererror", "error": error} for item in many(3)]
    with Relay(controlled_azure.batch_url) as relay:
        environment["AZURE_BATCH_ENDPOINT"] = relay.url
        with AzureBatchCredentials.from_environment(environment).get_client() as batch:
            relay.hold(r"POST /jobs/\S+/addtaskcollection")
            relay.let_go(reply(200, {"value": results}))
            yield replace(controlled_services, batch=batch)
            assert relay.is_reached.is_set()


def test_service_that_blames_itself(
    controlled_services: Services, doubtful: Services, run: Run
) -> None:
    """Batch tasks that the service failed to add, in a call that went well, are sent again."""
    add_batch_tasks(a_context(doubtful, run), many(3))

    assert ids(controlled_services, run) == {item.id for item in many(3)}


def test_refusal_is_final(
    controlled_services: Services, run: Run, control: Control, calls: Callable[[], int]
) -> None:
    """A call that the service will always refuse is made once."""
    control.add_fault(Rule(kind=Kind.ERROR, operation=ADD, status=403, code="AuthenticationFailed"))

    with pytest.raises(ServiceError, match=r"AuthenticationFailed.*check account name and key"):
        add_batch_tasks(a_context(controlled_services, run), many(3))

    assert calls() == 1


def test_bad_batch_task_is_named(controlled_services: Services, run: Run) -> None:
    """A batch task that the service does not take ends the submission with its id and code."""
    bad = replace(planned(1), id="not an id")

    with pytest.raises(BatchTasksRefused, match=r"not an id \(InvalidPropertyValue\)"):
        add_batch_tasks(a_context(controlled_services, run), [planned(0), bad])


def test_lost_heartbeat_ends_the_submission(controlled_services: Services, run: Run) -> None:
    """A run that has lost its resources to another adds nothing any more."""
    turns = iter([None, None])

    def check() -> None:
        """Let the step begin and take one turn."""
        next(turns)

    with pytest.raises(StopIteration):
        add_batch_tasks(a_context(replace(controlled_services, guard=check), run), many(900))

    assert len(ids(controlled_services, run)) < 900

"""Every step can be repeated: creating accepts its own, adding adds what is missing."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from azure.batch.models import BatchJobUpdateOptions, BatchMetadataItem, BatchPoolUpdateOptions

from blocks import AzureStorageCredentials
from flows.word_count.packing import plan_batch_tasks
from flows.word_count.settings import CountSettings
from flows.word_count.workload import WordCount
from prefect_azure_batch.collecting.downloads import Downloads, finish_downloads
from prefect_azure_batch.engine.preflight import check_storage
from prefect_azure_batch.errors import NotOwned, ServiceError
from prefect_azure_batch.model.run import Run, new_run
from prefect_azure_batch.model.tasks import InputFile
from prefect_azure_batch.ownership.deletion import KindsToDelete, delete_leftovers
from prefect_azure_batch.running.job import create_job, end_job_with_last_task
from prefect_azure_batch.running.pool import check_image, create_pool
from prefect_azure_batch.running.submission import add_batch_tasks
from prefect_azure_batch.running.watch import wait_for_batch_tasks
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import RunContext
from prefect_azure_batch.service.step import step
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings
from prefect_azure_batch.staging.containers import create_containers, upload_files
from prefect_azure_batch.staging.local_inputs import find_inputs
from tests.support.contexts import NODE_AGENT, WORD_COUNT, a_context

pytestmark = pytest.mark.usefixtures("prefect_harness", "nothing_left")

POOL = PoolSettings()
JOB = JobSettings(poll_interval_s=0.3)


@pytest.fixture
def inputs(tmp_path: Path) -> Sequence[InputFile]:
    """Two short texts."""
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text(f"{name} {name}")
    return find_inputs(WORD_COUNT, [str(tmp_path / "*.txt")])


@pytest.fixture
def run(services: Services) -> Iterator[Run]:
    """A run that has nothing yet; what it has at the end is deleted."""
    run = new_run(uuid4(), 1, JOB, CleanUpPolicy())
    yield run
    delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60)


def test_checks_repeat(services: Services) -> None:
    """Checking the accounts changes nothing."""
    for _ in range(2):
        check_storage(services)
        assert check_image(services, POOL) == NODE_AGENT


def test_whole_run_with_each_step_twice(
    services: Services, run: Run, inputs: list[InputFile], tmp_path: Path
) -> None:
    """With every step done twice in a row, each batch task is there once and all is counted."""
    planned = plan_batch_tasks(run, inputs, 1, CountSettings())
    context = a_context(
        services,
        run,
        workload=WordCount(1),
        job=JOB,
        inputs=inputs,
        levels=[planned],
        folder=tmp_path / "out",
    )
    for _ in range(2):
        create_containers(context)
    for _ in range(2):
        upload_files(context)
    for _ in range(2):
        create_pool(context)
    for _ in range(2):
        create_job(context)
    add_batch_tasks(context, planned[:1])
    add_batch_tasks(context, planned)
    for _ in range(2):
        end_job_with_last_task(context)
    with Downloads(context) as downloads:
        for _ in range(2):
            endings = wait_for_batch_tasks(context, planned, downloads.begin)
        for _ in range(2):
            lost = finish_downloads(context, downloads)

    assert [(ending.batch_task_id, ending.succeeded) for ending in endings.values()] == [
        ("topNtask0", True),
        ("topNtask1", True),
    ]
    assert lost == {}
    assert (tmp_path / "out" / "two_OUTPUT.txt").is_file()


def test_foreign_container_is_not_accepted(services: Services, run: Run) -> None:
    """A container of our name without our marks is an error, and stays."""
    services.blobs.create_container(run.input_container, metadata={"created_by": "other"})

    with pytest.raises(NotOwned, match=run.input_container):
        create_containers(RunContext.of(services, run))

    services.blobs.delete_container(run.input_container)


def test_foreign_pool_and_job_are_not_accepted(
    services: Services, make_run: Callable[[], Run]
) -> None:
    """A pool or job of our id with another run's marks is an error, and stays."""
    run = make_run()
    marks = {"created_by": "batch-top-words", "flow_run_id": "other"}
    items = [BatchMetadataItem(name=name, value=value) for name, value in marks.items()]
    services.batch.update_pool(run.pool_id, BatchPoolUpdateOptions(metadata=items))
    services.batch.update_job(run.job_id, BatchJobUpdateOptions(metadata=items))

    with pytest.raises(NotOwned, match="pool"):
        create_pool(a_context(services, run))
    with pytest.raises(NotOwned, match="job"):
        create_job(a_context(services, run))

    own = [BatchMetadataItem(name=name, value=value) for name, value in run.metadata.items()]
    services.batch.update_pool(run.pool_id, BatchPoolUpdateOptions(metadata=own))
    services.batch.update_job(run.job_id, BatchJobUpdateOptions(metadata=own))
    delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60)


@pytest.mark.parametrize(
    ("error", "num_calls"),
    [
        (ServiceError("busy", "ServerBusy", 503), 2),
        (ServiceError("refused", "AuthenticationFailed", 403), 1),
    ],
)
def test_transient_refusals_are_repeated(
    services: Services, error: ServiceError, num_calls: int
) -> None:
    """A step that a service refused for the moment is called again; for good, it is not."""
    calls = []

    @step("attempt")
    def attempt(_services: Services) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise error

    state = attempt(services, return_state=True)

    assert len(calls) == num_calls
    assert state.is_completed() is (num_calls > 1)


def test_long_arguments_reach_a_step_as_they_are(services: Services) -> None:
    """Prefect looks into no argument, and changes none."""
    given = [InputFile("a.txt", 1)]

    @step("look")
    def look(_services: Services, items: list[InputFile]) -> bool:
        """Tell whether it is the same list."""
        return items is given

    assert look(services, given)


def test_large_input_goes_up_in_pieces(services: Services, run: Run, tmp_path: Path) -> None:
    """No request is so large that a slow line could not send it before the time limit."""
    (tmp_path / "large.txt").write_bytes(b"words " * 500_000)
    sources = find_inputs(WORD_COUNT, [str(tmp_path / "large.txt")])
    create_containers(RunContext.of(services, run))

    with AzureStorageCredentials.from_environment().get_client() as blobs:
        upload_files(a_context(Services(services.batch, blobs), run, inputs=sources))

    blob = services.blobs.get_blob_client(run.input_container, "large.txt")
    committed, _ = blob.get_block_list("committed")
    assert [block.size for block in committed] == [1024**2, 1024**2, 3_000_000 - 2 * 1024**2]


def test_lost_output_container_is_not_a_missing_output(
    services: Services, run: Run, inputs: list[InputFile], tmp_path: Path
) -> None:
    """If somebody deleted the container, the error says so, not that the node program failed."""
    planned = plan_batch_tasks(run, inputs, 1, CountSettings())

    downloads = Downloads(a_context(services, run, folder=tmp_path / "out"))
    downloads.begin(planned[0], None)

    with downloads, pytest.raises(ServiceError, match="ContainerNotFound"):
        downloads.finish()

"""What steps are given in tests: a run and its work, complete, whatever a test is about."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from azure.batch import BatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import BlobServiceClient

from flows.word_count.workload import WordCount
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.stopwatch import Stopwatch
from prefect_azure_batch.model.tasks import InputFile, Level
from prefect_azure_batch.model.workload import Workload
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import WorkContext
from prefect_azure_batch.settings import JobSettings, PoolSettings

NODE_AGENT = "batch.node.ubuntu 24.04"
WORD_COUNT = WordCount()
POOL = PoolSettings()
JOB = JobSettings()
KEY = "c2VjcmV0"


def services_of_nowhere(guard: Callable[[], None] | None = None) -> Services:
    """Return real clients of services that are not there, for what must not ask them."""
    blobs = f"AccountName=a;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:1/a"
    return Services(
        BatchClient("http://127.0.0.1:1", AzureNamedKeyCredential("a", KEY)),
        BlobServiceClient.from_connection_string(blobs),
        guard,
    )


def a_context(  # noqa: PLR0913 - each of these is what some test is about
    services: Services,
    run: Run,
    *,
    workload: Workload[Any] = WORD_COUNT,
    pool: PoolSettings = POOL,
    node_agent: str = NODE_AGENT,
    job: JobSettings = JOB,
    inputs: Sequence[InputFile] = (),
    levels: Sequence[Level] = ((),),
    folder: Path = Path("unused"),
) -> WorkContext:
    """Return the context of a run that has passed all checks."""
    return WorkContext(
        services.batch,
        services.blobs,
        services.guard,
        run=run,
        workload=workload,
        pool=pool,
        node_agent=node_agent,
        job=job,
        inputs=inputs,
        levels=levels,
        folder=folder,
        stopwatch=Stopwatch("all"),
    )

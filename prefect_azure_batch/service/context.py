"""What the steps of a run are given: the clients, and what they are for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.stopwatch import Stopwatch
from prefect_azure_batch.model.tasks import BlobPlace, InputFile, Level
from prefect_azure_batch.model.workload import Workload
from prefect_azure_batch.model.written_files import WrittenFiles
from prefect_azure_batch.service import sas
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.settings import JobSettings, PoolSettings


@dataclass(frozen=True, kw_only=True)
class RunContext(Services):
    """The services as one run uses them.

    Attributes:
        run: names, marks and times; its attempt.
    """

    run: Run

    @classmethod
    def of(cls, services: Services, run: Run) -> "RunContext":
        """Return the context of a run whose work is not known, or does not matter."""
        return RunContext(
            services.batch, services.blobs, services.guard, services.movement, run=run
        )

    def in_attempt(self, attempt: int) -> Self:
        """Return the context of another attempt of the run."""
        return replace(self, run=self.run.in_attempt(attempt))

    def read_url(self, place: BlobPlace) -> str:
        """Return a SAS URL that can only read one blob."""
        return sas.read_url(self.blobs, self.run, place)

    def write_url(self) -> str:
        """Return a SAS URL that can only create and write in the output container."""
        return sas.write_url(self.blobs, self.run)


@dataclass(frozen=True, kw_only=True)
class WorkContext(RunContext):
    """A run that has passed all checks, and what it is to do.

    Attributes:
        workload: what runs.
        pool: the nodes as they are or will be.
        node_agent: the node agent SKU id of their image; empty for an existing pool.
        job: limits of the batch tasks.
        inputs: what is worked on.
        levels: the batch tasks, level by level.
        folder: where outputs and logs go.
        stopwatch: of the run.
        folder_words: what placeholders in the folder's name stand for, as far as a resumed run
            cannot know it by itself.
        written: the files in the folder that are this run's.
    """

    workload: Workload[Any]
    pool: PoolSettings
    node_agent: str
    job: JobSettings
    inputs: Sequence[InputFile]
    levels: Sequence[Level]
    folder: Path
    stopwatch: Stopwatch
    folder_words: Mapping[str, str] = field(default_factory=dict)
    written: WrittenFiles = field(default_factory=WrittenFiles)

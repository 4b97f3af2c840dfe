"""A run with a pool, a job and batch tasks of any commands, and the watch over it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from azure.batch.models import BatchStartTask, BatchTaskGroup
from prefect.client.orchestration import get_client
from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter
from prefect.events.schemas.events import Event

from prefect_azure_batch.model.result import Ending
from prefect_azure_batch.model.run import Run, new_run
from prefect_azure_batch.model.tasks import PlannedTask
from prefect_azure_batch.running.progress import Progress, on_progress
from prefect_azure_batch.running.watch import wait_for_batch_tasks
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings
from tests.support.contexts import a_context
from tests.support.emulator.builders import a_job, pool_options, sh, task_options
from tests.support.processes import wait_until

COLLECTION_SIZE = 100
POOL = PoolSettings(allocation_timeout_s=60)
JOB = JobSettings(poll_interval_s=0.3)


def planned(number: int) -> PlannedTask:
    """Return the plan of a batch task that reads one file."""
    name = f"{number}.txt"
    return PlannedTask(f"topNtask{number}", (name,), (), (), (), ())


@dataclass
class Watched:
    """A run, what is planned of it, and what the watch said."""

    services: Services
    run: Run
    tasks: list[PlannedTask] = field(default_factory=list)
    said: list[tuple[str, Ending]] = field(default_factory=list)

    def add(self, *scripts: str, **options: Any) -> None:
        """Add a batch task for each shell script."""
        first = len(self.tasks)
        tasks = [planned(first + number) for number in range(len(scripts))]
        given = [
            task_options(sh(script), id=task.id, **options)
            for task, script in zip(tasks, scripts, strict=True)
        ]
        for start in range(0, len(given), COLLECTION_SIZE):
            group = BatchTaskGroup(task_values=given[start : start + COLLECTION_SIZE])
            self.services.batch.create_task_collection(self.run.job_id, group)
        self.tasks += tasks

    def wait(self, pool: PoolSettings = POOL, job: JobSettings = JOB) -> dict[str, Ending]:
        """Watch the batch tasks to their end."""
        context = a_context(self.services, self.run, pool=pool, job=job)
        return wait_for_batch_tasks(context, self.tasks, self._ended)

    def _ended(self, task: PlannedTask, ending: Ending) -> None:
        self.said.append((task.id, ending))

    def nodes(self) -> list[str]:
        """Return the ids of the nodes."""
        return [node.id for node in self.services.batch.list_nodes(self.run.pool_id)]

    def wait_for_nodes(self, num_nodes: int, *states: str) -> list[str]:
        """Wait until so many nodes are in one of some states; return their ids."""

        def found() -> list[str]:
            nodes = self.services.batch.list_nodes(self.run.pool_id)
            return [node.id for node in nodes if node.state in states]

        wait_until(lambda: len(found()) >= num_nodes)
        return found()


def a_watched(
    services: Services, run: Run | None = None, job: dict[str, Any] | None = None, **options: Any
) -> Watched:
    """Create a pool of one node and a job, unless the options say otherwise.

    Args:
        services: the clients.
        run: whose; None: a new one.
        job: options of the job.
        options: of the pool; `start` is a shell script for its start task.
    """
    run = run or new_run(uuid4(), 1, JOB, CleanUpPolicy())
    start = options.pop("start", None)
    if start:
        command = BatchStartTask(command_line=sh(start), wait_for_success=True)
        options["start_task"] = command
    services.batch.create_pool(pool_options(id=run.pool_id, **options))
    a_job(services.batch, run.pool_id, id=run.job_id, **(job or {}))
    return Watched(services, run)


@contextmanager
def until_seen(folder: Path, state: str) -> Iterator[str]:
    """Give a script that ends when the watch in the block has seen a node in a state."""
    gate = folder / "gate"

    def listen(progress: Progress) -> None:
        """Open the gate."""
        if progress.nodes.get(state):
            gate.touch()

    token = on_progress.set(listen)
    yield f"until [ -e {gate} ]; do sleep 0.05; done"
    on_progress.reset(token)


def events_of(run: Run, name: str = "azure-batch.") -> list[Event]:
    """Return the run's events whose names begin so, as the server has them, the oldest first."""
    wanted = EventFilter(
        event=EventNameFilter(prefix=[name]),
        any_resource=EventAnyResourceFilter(id=[f"azure-batch.job.{run.job_id}"]),
    )
    return sorted(_pages(wanted), key=lambda event: event.occurred)


def _pages(wanted: EventFilter) -> Iterator[Event]:
    with get_client(sync_client=True) as client:
        page = client.read_events(wanted, limit=50)
        yield from page.events
        while page.next_page:
            page = client.read_events_page(str(page.next_page))
            yield from page.events


def wait_for_event(run: Run, name: str, condition: Callable[[Event], bool] | None = None) -> Event:
    """Wait until the server has an event of a name and return it; events arrive by and by."""

    def found() -> Sequence[Event]:
        events = events_of(run, name)
        return [event for event in events if condition is None or condition(event)]

    wait_until(found)
    return found()[0]

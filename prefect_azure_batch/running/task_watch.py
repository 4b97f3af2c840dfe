"""How the batch tasks of one level end: each is found once, however many there are."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from azure.batch import BatchClient
from azure.batch.models import BatchTask, BatchTaskCounts, BatchTaskExecutionInfo

from prefect_azure_batch.messages import without_sas
from prefect_azure_batch.model.result import Ending
from prefect_azure_batch.model.tasks import PlannedTask
from prefect_azure_batch.running.changed_items import Changes
from prefect_azure_batch.running.events import VISIBLE, Announcer
from prefect_azure_batch.service.refusals import lowered
from prefect_azure_batch.settings import JobSettings

FIELDS = ["id", "state", "stateTransitionTime", "executionInfo", "nodeInfo"]
COMPLETED = "state eq 'completed'"

# The code of a batch task that was killed, by a limit or on request.
ENDED_FROM_OUTSIDE = "taskended"
# Its run time can be measured from a little after the beginning of the limit.
NEARLY = 0.9

OnEnded = Callable[[PlannedTask, Ending], None]


class TaskWatch:
    """The batch tasks of one level; the job can hold others, which have all ended before.

    Args:
        batch: the client.
        job_id: their job.
        planned: the batch tasks of the level.
        settings: their limits, which the message of one that was ended by a limit names.
        announcer: reports every ending, and of each state of a few batch tasks.
        on_ended: called for each as it ends.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a watch is made of
        self,
        batch: BatchClient,
        job_id: str,
        planned: Sequence[PlannedTask],
        settings: JobSettings,
        announcer: Announcer,
        on_ended: OnEnded,
    ) -> None:
        self._batch = batch
        self._job_id = job_id
        self._settings = settings
        self._planned = {item.id: item for item in planned}
        self._announcer = announcer
        self._on_ended = on_ended
        self._changes = Changes()
        self._is_visible = len(planned) <= VISIBLE
        self._completed: set[str] = set()
        self._ended: dict[str, Ending] = {}

    @property
    def found(self) -> dict[str, Ending]:
        """How those ended that have ended, by id, in the order of the plan."""
        return {name: self._ended[name] for name in self._planned if name in self._ended}

    @property
    def num_completed(self) -> int:
        """How many of the level have ended."""
        return len(self._ended)

    @property
    def num_failed(self) -> int:
        """How many of the level have failed."""
        return sum(not ending.succeeded for ending in self._ended.values())

    @property
    def pending(self) -> list[str]:
        """The ids of those that have not ended, as far as is known."""
        return [name for name in self._planned if name not in self._ended]

    def is_behind(self, counts: BatchTaskCounts) -> bool:
        """Tell whether more batch tasks of the job are completed than have been listed."""
        return counts.completed > len(self._completed)

    def list_changed(self) -> None:
        """List what has changed: all states of a few batch tasks, of many only their ends."""
        self._list(self._changes.filter(*([] if self._is_visible else [COMPLETED])))

    def confirm(self) -> bool:
        """Tell whether all have really ended, by a list of those that have not.

        One that is in neither list was deleted by somebody; one that was activated again after
        its end has not ended.
        """
        listed = self._batch.list_tasks(
            self._job_id, filter="state ne 'completed'", select=["id", "state"]
        )
        unfinished = {task.id for task in listed} & self._planned.keys()
        for name in unfinished & self._ended.keys():
            del self._ended[name]
            self._completed.discard(name)
        if unfinished:
            return False
        if self.pending:
            self._list(COMPLETED)
        for name in self.pending:
            self._end(Ending(name, succeeded=False, message="somebody deleted the batch task"))
        return True

    def _list(self, condition: str | None) -> None:
        listed = self._batch.list_tasks(self._job_id, filter=condition, select=FIELDS)
        for task in self._changes.new(listed):
            self._see(task)

    def _see(self, task: BatchTask) -> None:
        state = lowered(task.state)
        if state == "completed":
            self._completed.add(task.id)
        planned = self._planned.get(task.id)
        if planned is None or task.id in self._ended:
            return
        if state == "completed":
            self._end(explained(ending_of(task), self._settings))
        elif state in {"active", "running"}:
            self._announcer.batch_task(planned, state, _node_id(task))

    def _end(self, ending: Ending) -> None:
        planned = self._planned[ending.batch_task_id]
        self._ended[planned.id] = ending
        self._announcer.ending(planned, ending, is_visible=self._is_visible)
        self._on_ended(planned, ending)


def ending_of(task: BatchTask) -> Ending:
    """Return how a completed batch task ended; completed does not mean that it succeeded."""
    info = task.execution_info
    failure = info.failure_info if info else None
    exit_code = info.exit_code if info else None
    return Ending(
        batch_task_id=task.id,
        succeeded=lowered(info.result if info else None) == "success" and exit_code == 0,
        exit_code=exit_code,
        category=lowered(failure.category) if failure else "",
        code=str(failure.code or "") if failure else "",
        message=without_sas(str(failure.message or "")) if failure else "",
        node_id=_node_id(task),
        num_retries=info.retry_count or 0 if info else 0,
        num_requeues=info.requeue_count or 0 if info else 0,
        run_time_s=_run_time_s(info),
    )


def explained(ending: Ending, settings: JobSettings) -> Ending:
    """Return the ending with the limit that ended it, if one did: the service does not name it."""
    if lowered(ending.code) != ENDED_FROM_OUTSIDE:
        return ending
    limit_s = settings.batch_task_max_wall_clock_time_s
    if ending.run_time_s >= NEARLY * limit_s:
        why = f"it was killed after {limit_s} s: raise job.batch_task_max_wall_clock_time_s"
    else:
        why = (
            "the job or somebody ended it: raise job.max_wall_clock_time_s "
            f"({settings.max_wall_clock_time_s} s) if the job ran out of time"
        )
    return replace(ending, message="; ".join(filter(None, [ending.message, why])))


def _node_id(task: BatchTask) -> str:
    return str(task.node_info.node_id or "") if task.node_info else ""


def _run_time_s(info: BatchTaskExecutionInfo | None) -> float:
    if info is None or info.start_time is None or info.end_time is None:
        return 0.0
    return (info.end_time - info.start_time).total_seconds()

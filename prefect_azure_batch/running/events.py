"""What happens to pool, nodes, job and batch tasks, as Prefect events and as log lines.

The one place that emits events; automations can match them by these resource ids:
`azure-batch.pool.<id>`, `azure-batch.node.<pool>.<node>`, `azure-batch.job.<id>` and
`azure-batch.task.<job>.<batch task>`.
"""

from collections.abc import Callable, Mapping

from prefect.events import emit_event
from prefect.events.clients import PrefectEventsClient
from prefect.events.worker import EventsWorker, emit_events_to_cloud
from prefect.logging import get_run_logger
from prefect.settings import PREFECT_API_URL

from prefect_azure_batch.model.result import Ending
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.tasks import PlannedTask
from prefect_azure_batch.plain_text import one_line

# So many batch tasks and nodes are shown one by one; more would drown the rest.
VISIBLE = 48
MOST_INPUTS = 10
# Prefect would try ten times more, seven seconds for each event; what it could not send it keeps,
# and sends it again with a later one.
RECONNECTIONS = 1

Resource = dict[str, str]
Payload = Mapping[str, object]


def limit_reconnections() -> None:
    """Have the process end soon if Prefect's server is lost: its own events wait there too.

    For a server that is asked for by its URL; must be called before the first event.
    """
    if PREFECT_API_URL.value() and not emit_events_to_cloud():
        EventsWorker.set_client_override(PrefectEventsClient, reconnection_attempts=RECONNECTIONS)


def server_is_always_there() -> bool:
    """Take Prefect's server for being there."""
    return True


class Announcer:
    """Reports what happens to one run's pool, nodes, job and batch tasks.

    Args:
        run: whose.
        is_server_there: tells of Prefect's server: events for one that is not there would be kept
            and sent again and again, and hold up the end of the process for minutes.
    """

    def __init__(
        self, run: Run, is_server_there: Callable[[], bool] = server_is_always_there
    ) -> None:
        self._run = run
        self._is_server_there = is_server_there
        self._log = get_run_logger()
        self._num_failures = 0

    def pool(self, state: str, reason: str = "") -> None:
        """Report the pool.

        Args:
            state: its own or that of its allocation, lower case; `resize-failed` is one too.
            reason: why, without signatures.
        """
        self._emit("pool", (self._run.pool_id,), state, _why(reason))
        self._log.info("pool %s is %s%s", self._run.pool_id, state, reason and f": {reason}")

    def node(self, node_id: str, state: str, *, is_routine: bool = False) -> None:
        """Report a node.

        Args:
            node_id: which one.
            state: lower case, such as `idle` or `starttaskfailed`.
            is_routine: whether it only goes from one batch task to the next.
        """
        self._emit("node", (self._run.pool_id, node_id), state, {})
        (self._log.debug if is_routine else self._log.info)("node %s is %s", node_id, state)

    def job(self, state: str, reason: str = "") -> None:
        """Report the job: its state, lower case, and why it ended."""
        self._emit("job", (self._run.job_id,), state, _why(reason))
        self._log.info("job %s is %s%s", self._run.job_id, state, reason and f" ({reason})")

    def progress(self, numbers: Payload) -> None:
        """Report how far the job is, with the numbers as payload."""
        self._emit("job", (self._run.job_id,), "progress", numbers)

    def batch_task(self, planned: PlannedTask, state: str, node_id: str = "") -> None:
        """Report a batch task that has not ended: `active` or `running`, and on which node."""
        self._emit_batch_task(planned, state, {"node": node_id} if node_id else {})
        self._log.debug("batch task %s is %s", planned.id, state)

    def ending(self, planned: PlannedTask, ending: Ending, *, is_visible: bool) -> None:
        """Report how a batch task ended; of the failures only the first `VISIBLE` loudly.

        Args:
            planned: which one.
            ending: how.
            is_visible: whether a success is an event too.
        """
        state = "completed" if ending.succeeded else "failed"
        self._num_failures += not ending.succeeded
        is_loud = not ending.succeeded and self._num_failures <= VISIBLE
        if is_visible or is_loud:
            known = {"exit_code": ending.exit_code, "node": ending.node_id}
            self._emit_batch_task(planned, state, known | _why(ending.reason))
        (self._log.info if is_loud else self._log.debug)(
            "batch task %s %s%s", planned.id, state, ending.reason and f": {ending.reason}"
        )

    def _emit_batch_task(self, planned: PlannedTask, state: str, known: Payload) -> None:
        named = [one_line(name) for name in planned.inputs[:MOST_INPUTS]]
        inputs = {"inputs": named, "num_inputs": len(planned.inputs)}
        self._emit("task", (self._run.job_id, planned.id), state, {**known, **inputs})

    def _emit(self, kind: str, ids: tuple[str, ...], state: str, known: Payload) -> None:
        if not self._is_server_there():
            return
        resource_id = ".".join(("azure-batch", kind, *ids))
        resource = {
            "prefect.resource.id": resource_id,
            "prefect.resource.name": _name(kind, ids[-1]),
        }
        emit_event(
            event=f"azure-batch.{kind}.{state}",
            resource=resource,
            related=[
                item for item in self._related() if item["prefect.resource.id"] != resource_id
            ],
            payload={"state": state, **known},
        )

    def _related(self) -> list[Resource]:
        # Prefect itself adds the flow run, with its name and tags.
        return [_resource("pool", self._run.pool_id), _resource("job", self._run.job_id)]


def _resource(kind: str, name: str) -> Resource:
    return {
        "prefect.resource.id": f"azure-batch.{kind}.{name}",
        "prefect.resource.role": kind,
        "prefect.resource.name": _name(kind, name),
    }


def _name(kind: str, name: str) -> str:
    # The pages show names alone, and a job bears the name of its pool.
    return f"{'batch task' if kind == 'task' else kind} {name}"


def _why(reason: str) -> dict[str, object]:
    return {"reason": reason} if reason else {}

"""A dead run is deleted whole, by one process at a time, and only while it stays dead.

Of a run that is kept and died before it had deleted the rest, the rest is deleted.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from uuid import UUID

from prefect_azure_batch.errors import CleanUpIncomplete, PipelineError, RunLost
from prefect_azure_batch.model.run import HEARTBEAT_BLOB, Run
from prefect_azure_batch.ownership.deletion import KindsToDelete, delete_leftovers
from prefect_azure_batch.ownership.heartbeat import Heartbeat
from prefect_azure_batch.ownership.heartbeat_blob import RunState
from prefect_azure_batch.ownership.inventory import NOTHING, RunResources, look_at_run
from prefect_azure_batch.ownership.liveness import LifeState
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import RunContext
from prefect_azure_batch.service.outages import Backoff, outlive
from prefect_azure_batch.service.parallel import in_parallel
from prefect_azure_batch.service.refusals import accepting, service_errors
from prefect_azure_batch.service.step import step

R = TypeVar("R")

# A pool can take minutes.
TIMEOUT_S = 1800
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
# A call of the dead process may still create something.
SETTLE_S = 1.0


@dataclass(frozen=True)
class Removal:
    """What became of a run that was found dead.

    Attributes:
        run_id: whose, 32 hexadecimal digits.
        done: what was done, in words.
        is_taken: whether it was still dead, and with it its flow runs.
        problem: why something is left; None if nothing is that should not be.
    """

    run_id: str
    done: str
    is_taken: bool = False
    problem: PipelineError | None = None

    @property
    def why_left(self) -> str:
        """Why something is left, without what to do about it."""
        if isinstance(self.problem, CleanUpIncomplete):
            return self.problem.evidence
        return str(self.problem or "")


@step("delete what is dead", is_repeated=False)
def delete_dead_runs(
    services: Services, dead: Iterable[RunResources], holder: UUID, timeout_s: float = TIMEOUT_S
) -> list[Removal]:
    """Delete dead runs, several at once; an error of one does not keep others from being deleted.

    Args:
        services: the clients.
        dead: the runs, as they were found dead, or kept with waste beside.
        holder: the flow run that deletes them.
        timeout_s: seconds to wait until everything of one run is gone.
    """

    def deleted(found: RunResources) -> Removal:
        """Delete one."""
        return delete_dead_run(services, found, holder, timeout_s)

    return [removal for some in in_parallel(deleted, dead) for removal in some]


def delete_dead_run(
    services: Services, found: RunResources, holder: UUID, timeout_s: float
) -> Removal:
    """Delete a run if it is dead still, and nobody else takes it first.

    Args:
        services: the clients.
        found: the run, as it was found dead.
        holder: the flow run that deletes it.
        timeout_s: seconds to wait until all of it is gone.
    """
    run_id = found.run.flow_run_id

    try:
        again = _outlive(services, partial(_look, services, found.run))
        if again is None:
            return Removal(run_id, "gone meanwhile")
        if again.waste == NOTHING:
            return Removal(run_id, f"left alone: {again.liveness.why}")
        heartbeat = Heartbeat(services.blobs, again.run, holder, state=RunState.DELETING)
        _outlive(services, partial(_take, services, again, heartbeat))
    except RunLost as lost:
        return Removal(run_id, f"left alone: {lost}")
    except PipelineError as problem:
        return Removal(run_id, f"not deleted: {problem}", problem=problem)
    try:
        deleted = list(dict.fromkeys(_deleted(services, again, heartbeat, timeout_s)))
    except PipelineError as problem:
        return Removal(run_id, f"not deleted: {problem}", is_taken=True, problem=problem)
    finally:
        heartbeat.stop()
    return Removal(run_id, f"deleted {', '.join(deleted)}", is_taken=True)


def _outlive(services: Services, call: Callable[[], R]) -> R:
    return outlive(call, Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S), services.check)


def _look(services: Services, run: Run) -> RunResources | None:
    with service_errors("look again"):
        return look_at_run(services, run)


def _take(services: Services, found: RunResources, heartbeat: Heartbeat) -> None:
    """Take the run to delete it: who would resume it is refused from now on; safe to repeat."""
    run = found.run
    application = services.blobs.get_container_client(run.application_container)
    with service_errors("take the dead run"):
        if not found.evidence.is_readable:
            with accepting("BlobNotFound"):
                application.delete_blob(HEARTBEAT_BLOB)
        if run.application_container not in {item.name for item in found.resources}:
            # Somebody deleted it; without a place for the heartbeat the run is anybody's.
            with accepting("ContainerAlreadyExists"):
                application.create_container(metadata=run.metadata)
    heartbeat.take_unless_changed(found.evidence.sighting)


def _deleted(
    services: Services, found: RunResources, heartbeat: Heartbeat, timeout_s: float
) -> Iterator[str]:
    """Delete everything and give it in words; what holds the heartbeat goes last."""
    # If this janitor dies, somebody may resume the run: that attempt is one later.
    attempt = max(found.run.attempt, heartbeat.attempt)
    context = RunContext.of(services, found.run.in_attempt(attempt))
    seen, liveness = found.evidence.sighting, found.liveness
    if liveness.state is LifeState.KEPT and seen and seen.beat.until:
        yield from delete_leftovers(context, found.waste, timeout_s, SETTLE_S)
        _outlive(services, partial(heartbeat.mark_kept, seen.beat.until, liveness.kept))
        return
    yield from delete_leftovers(context, KindsToDelete(containers=False), timeout_s, SETTLE_S)
    _outlive(services, heartbeat.renew)
    yield from delete_leftovers(context, KindsToDelete(), timeout_s)

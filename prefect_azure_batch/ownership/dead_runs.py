"""A dead run is deleted whole, by one process at a time, and only while it stays dead.

Of a run that is kept and died before it had deleted the rest, the rest is deleted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from azure.core.exceptions import HttpResponseError

from prefect_azure_batch.errors import CleanUpIncomplete, PipelineError, RunLost
from prefect_azure_batch.model.run import HEARTBEAT_BLOB
from prefect_azure_batch.ownership.deletion import Kinds, delete_leftovers
from prefect_azure_batch.ownership.heartbeat import Heartbeat
from prefect_azure_batch.ownership.heartbeat_blob import State
from prefect_azure_batch.ownership.inventory import NOTHING, Estate, look_at_run
from prefect_azure_batch.ownership.liveness import Word
from prefect_azure_batch.service.clients import Services, error_code, service_errors, step
from prefect_azure_batch.service.parallel import in_parallel

# A pool can take minutes.
TIMEOUT_S = 1800
# A call of the dead process may still create something.
SETTLE_S = 1.0


@dataclass(frozen=True)
class Removal:
    """What became of a run that was found dead.

    Attributes:
        run_id: whose, 32 hexadecimal digits.
        done: what was done, in words.
        is_taken: whether it was dead still, so that its flow runs are.
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
def remove_all(
    services: Services, estates: Iterable[Estate], holder: UUID, timeout_s: float = TIMEOUT_S
) -> list[Removal]:
    """Delete dead runs, several at once; trouble with one keeps no other from being deleted.

    Args:
        services: the clients.
        estates: the runs, as they were found dead, or kept with waste beside.
        holder: the flow run that deletes them.
        timeout_s: seconds to wait until everything of one run is gone.
    """

    def removed(estate: Estate) -> Removal:
        """Delete one."""
        return remove_run(services, estate, holder, timeout_s)

    return [removal for some in in_parallel(removed, estates) for removal in some]


def remove_run(services: Services, estate: Estate, holder: UUID, timeout_s: float) -> Removal:
    """Delete a run if it is dead still, and nobody else takes it first.

    Args:
        services: the clients.
        estate: the run, as it was found dead.
        holder: the flow run that deletes it.
        timeout_s: seconds to wait until all of it is gone.
    """
    run_id = estate.run.flow_run_id
    try:
        with service_errors("look again"):
            again = look_at_run(services, estate.run)
        if again is None:
            return Removal(run_id, "gone meanwhile")
        if again.waste == NOTHING:
            return Removal(run_id, f"left alone: {again.verdict.why}")
        heartbeat = _seized(services, again, holder)
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


def _seized(services: Services, estate: Estate, holder: UUID) -> Heartbeat:
    """Take the run to delete it: whoever would go on with it is refused from now on."""
    run = estate.run
    application = services.blobs.get_container_client(run.application_container)
    with service_errors("take the dead run"):
        if not estate.evidence.is_readable:
            application.delete_blob(HEARTBEAT_BLOB)
        if run.application_container not in {item.name for item in estate.resources}:
            # Somebody deleted it; without a place for the heartbeat the run is anybody's.
            try:
                application.create_container(metadata=run.metadata)
            except HttpResponseError as error:
                if error_code(error) != "ContainerAlreadyExists":
                    raise
    heartbeat = Heartbeat(services.blobs, run, holder, state=State.DELETING)
    heartbeat.seize(estate.evidence.sighting)
    return heartbeat


def _deleted(
    services: Services, estate: Estate, heartbeat: Heartbeat, timeout_s: float
) -> Iterator[str]:
    """Delete everything and give it in words; what holds the heartbeat goes last."""
    # Whoever took the run from a janitor that fell silent itself would open the next attempt.
    run = estate.run.in_attempt(max(estate.run.attempt, heartbeat.attempt))
    seen, verdict = estate.evidence.sighting, estate.verdict
    if verdict.word is Word.KEPT and seen and seen.beat.until:
        yield from delete_leftovers(services, run, estate.waste, timeout_s, SETTLE_S)
        heartbeat.keep(seen.beat.until, verdict.kept)
        return
    yield from delete_leftovers(services, run, Kinds(containers=False), timeout_s, SETTLE_S)
    heartbeat.make_sure()
    yield from delete_leftovers(services, run, Kinds(), timeout_s)

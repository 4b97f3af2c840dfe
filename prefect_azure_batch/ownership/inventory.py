"""What of ours is on the services, by run: pools, jobs and containers with our marks."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prefect_azure_batch.errors import HeartbeatDamaged
from prefect_azure_batch.model.run import MARK, PREFIX, Run, new_run
from prefect_azure_batch.ownership.deletion import KindsToDelete
from prefect_azure_batch.ownership.heartbeat_blob import ServiceClock, Sighting, look_at_heartbeat
from prefect_azure_batch.ownership.liveness import Evidence, LifeState, Liveness, judge, read_marks
from prefect_azure_batch.service.answers import optional
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.refusals import lowered
from prefect_azure_batch.service.specs import marks as marks_of
from prefect_azure_batch.service.step import step
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings

RUN_ID = re.compile("[0-9a-f]{32}")
NOTHING = KindsToDelete(containers=False, job=False, pool=False)


@dataclass(frozen=True)
class Resource:
    """A pool, job or container.

    Attributes:
        kind: which of the three.
        name: its id or name.
        marks: its metadata.
        age_s: seconds since it was created, by its service's clock; of a container, since its
            metadata was last set; None: the service does not say when.
        num_nodes: that a pool has now; each is billed.
        pool_id: where a job's batch tasks run; empty for what is not a job, or has ended.
    """

    kind: str
    name: str
    marks: Mapping[str, str]
    age_s: float | None
    num_nodes: int = 0
    pool_id: str = ""

    @property
    def run_id(self) -> str:
        """The flow run that it says it is of; empty if it is not ours, or does not say it."""
        said = self.marks.get("flow_run_id", "")
        return said if self.is_ours and RUN_ID.fullmatch(said) else ""

    @property
    def is_ours(self) -> bool:
        """Whether this project made it."""
        return self.marks.get("created_by") == MARK

    def __str__(self) -> str:
        """Name it as people do."""
        nodes = f" ({self.num_nodes} nodes)" if self.num_nodes else ""
        return f"{self.kind} {self.name}{nodes}"


@dataclass(frozen=True)
class RunResources:
    """Everything that one run has on the services.

    Attributes:
        run: whose, in the last attempt that is known.
        resources: what it has; at least one.
        evidence: of whether it is alive.
    """

    run: Run
    resources: tuple[Resource, ...]
    evidence: Evidence

    @property
    def liveness(self) -> Liveness:
        """Whether it is alive."""
        return judge(self.evidence)

    @property
    def waste(self) -> KindsToDelete:
        """The kinds of what it has that are to be deleted now."""
        liveness = self.liveness
        if liveness.state is LifeState.DEAD:
            return KindsToDelete()
        if liveness.kept is None:
            return NOTHING
        # The application container stays as long as anything does.
        there = {of.kind for of in self.resources if of.name != self.run.application_container}
        return KindsToDelete(
            containers="containers" not in liveness.kept and "container" in there,
            job="job" not in liveness.kept and "job" in there,
            pool="pool" not in liveness.kept and "pool" in there,
        )

    @property
    def num_nodes(self) -> int:
        """Nodes that are billed for it now."""
        return sum(resource.num_nodes for resource in self.resources)

    @property
    def holders(self) -> tuple[str, ...]:
        """The flow run that made it and the one that worked on it last, 32 digits each."""
        seen = self.evidence.sighting
        return tuple(dict.fromkeys((self.run.flow_run_id, *((seen.beat.holder,) if seen else ()))))


@dataclass(frozen=True)
class Inventory:
    """What is on both accounts.

    Attributes:
        runs: what each run of ours has, the oldest name first.
        strays: with our mark, but with a name or a flow run that no run of ours can have.
        others: of somebody else.
    """

    runs: tuple[RunResources, ...]
    strays: tuple[Resource, ...]
    others: tuple[Resource, ...]

    @property
    def num_nodes(self) -> int:
        """Nodes in all pools of the account."""
        pools = [resource.num_nodes for resource in (*self.strays, *self.others)]
        return sum(pools) + sum(of.num_nodes for of in self.runs)


@step("look at what is there")
def take_inventory(services: Services) -> Inventory:
    """Look at everything on both accounts, and at the heartbeat of each of our runs."""
    clock = ServiceClock()
    found = list(_all_resources(services, clock))
    by_run: dict[str, list[Resource]] = {}
    for resource in found:
        if _belongs(resource):
            by_run.setdefault(resource.run_id, []).append(resource)
    runs = (
        _resources_of(services, clock.now, run_id, by_run[run_id], found)
        for run_id in sorted(by_run)
    )
    return Inventory(
        tuple(runs),
        tuple(item for item in found if item.is_ours and not _belongs(item)),
        tuple(item for item in found if not item.is_ours),
    )


def look_at_run(services: Services, run: Run) -> RunResources | None:
    """Look at one run afresh; None if nothing is left of it."""
    clock = ServiceClock()
    found = list(_all_resources(services, clock, run.name))
    own = [item for item in found if item.run_id == run.flow_run_id and _belongs(item)]
    return _resources_of(services, clock.now, run.flow_run_id, own, found) if own else None


def _all_resources(services: Services, clock: ServiceClock, prefix: str = "") -> Iterator[Resource]:
    """Give all resources whose names begin so; of jobs all, for they can work on any pool."""
    batch_clock = ServiceClock()
    fields = ["id", "metadata", "creationTime"]
    pools = services.batch.list_pools(
        filter=f"startswith(id,'{prefix}')" if prefix else None,
        select=[*fields, "currentDedicatedNodes", "currentLowPriorityNodes"],
        raw_response_hook=batch_clock,
    )
    for pool in pools:
        num_nodes = (pool.current_dedicated_nodes or 0) + (pool.current_low_priority_nodes or 0)
        age_s = _age_s(batch_clock, pool.creation_time)
        yield Resource("pool", pool.id, marks_of(pool.metadata), age_s, num_nodes=num_nodes)
    jobs = services.batch.list_jobs(
        select=[*fields, "state", "poolInfo"], raw_response_hook=batch_clock
    )
    for job in jobs:
        is_over = lowered(job.state) in {"completed", "deleting"}
        works_on = None if is_over else optional(job.pool_info)
        pool_id = (works_on.pool_id if works_on else None) or ""
        age_s = _age_s(batch_clock, job.creation_time)
        yield Resource("job", job.id, marks_of(job.metadata), age_s, pool_id=pool_id)
    # Last, so that the time is that of the heartbeats, which are looked at next.
    containers = services.blobs.list_containers(
        name_starts_with=prefix or None, include_metadata=True, raw_response_hook=clock
    )
    for container in containers:
        age_s = _age_s(clock, container.last_modified)
        yield Resource("container", str(container.name), dict(container.metadata or {}), age_s)


def _age_s(clock: ServiceClock, created: datetime | None) -> float | None:
    return clock.seconds_since(created) if created else None


def _belongs(resource: Resource) -> bool:
    """Tell whether the name is one that the run of its marks can have given it."""
    name = f"{PREFIX}{resource.run_id}"
    if not resource.run_id:
        return False
    if resource.kind == "container":
        return resource.name in _run(resource.run_id).containers
    return resource.name.removeprefix(f"{name}-").isdecimal()


def _run(run_id: str) -> Run:
    return new_run(UUID(run_id), 0, JobSettings(), CleanUpPolicy())


def _resources_of(
    services: Services,
    now: datetime,
    run_id: str,
    own: list[Resource],
    everything: list[Resource],
) -> RunResources:
    marks = read_marks(run_id, (resource.marks for resource in own))
    attempts = [
        int(resource.name.rpartition("-")[2]) for resource in own if resource.kind != "container"
    ]
    said = {"heartbeat_limit_s": marks.limit_s, "delete_after": marks.delete_after}
    update = {name: value for name, value in said.items() if value}
    run = _run(run_id).model_copy(update=update).in_attempt(max(attempts, default=0))
    sighting, is_readable = _heartbeat(services, run)
    evidence = Evidence(
        marks,
        sighting,
        # What is of unknown age can have been made just now.
        age_s=min((of.age_s for of in own if of.age_s is not None), default=0.0),
        now=sighting.seen if sighting else now,
        is_readable=is_readable,
        users=_users(own, everything),
    )
    return RunResources(run, tuple(own), evidence)


def _heartbeat(services: Services, run: Run) -> tuple[Sighting | None, bool]:
    """Return the run's heartbeat, and whether what stands there can be read."""
    try:
        return look_at_heartbeat(services.blobs, run), True
    except HeartbeatDamaged:
        return None, False


def _users(own: list[Resource], everything: list[Resource]) -> tuple[str, ...]:
    """Return the jobs of others that work on pools of a run."""
    pools = {resource.name for resource in own if resource.kind == "pool"}
    return tuple(item.name for item in everything if item.pool_id in pools and item not in own)

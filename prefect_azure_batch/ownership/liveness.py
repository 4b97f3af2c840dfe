"""Whether a run is alive: the one rule, by its marks and its heartbeat alone; pure.

What Prefect says does not count: it shows runs as running that have been dead for days.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from prefect_azure_batch.model.run import HEARTBEAT_BLOB, PREFIX
from prefect_azure_batch.ownership.heartbeat_blob import RunState, Sighting

# The service gives up a batch task after this time, and no run is allowed more.
LONGEST_RUN_S = 180 * 24 * 3600.0
# States in which Prefect takes a flow run for being at work: it holds its place in limits.
AT_WORK = frozenset({"RUNNING", "PENDING", "CANCELLING"})


class LifeState(StrEnum):
    """What becomes of a run.

    Attributes:
        ALIVE: left alone, whatever Prefect says.
        KEPT: ended; left alone until its time is over.
        DEAD: deleted whole.
        UNCLEAR: its marks cannot be read; left alone, and reported.
    """

    ALIVE = "alive"
    KEPT = "kept"
    DEAD = "dead"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Liveness:
    """What becomes of a run, and why.

    Attributes:
        state: what.
        why: the evidence, in words.
        again_s: seconds after which it is worth looking again; None: waiting is of no use.
        kept: of a kept run that is silent, the kinds of resources that stay; None: all.
    """

    state: LifeState
    why: str
    again_s: float | None = None
    kept: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Marks:
    """What the resources of a run say about it; where they differ, the longest time.

    Attributes:
        limit_s: seconds of silence after which it is dead; None: none of them says it.
        delete_after: when it is waste, UTC; None: none of them says it.
        damages: what none of them says, in words.
    """

    limit_s: float | None
    delete_after: datetime | None
    damages: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """What was seen of a run.

    Attributes:
        marks: of its resources.
        sighting: its heartbeat; None if there is none, or it cannot be read.
        is_readable: false if there is a heartbeat that cannot be read.
        age_s: seconds since the youngest of its resources was created.
        now: the storage service's time, UTC.
        users: jobs of others that work on its pools.
    """

    marks: Marks
    sighting: Sighting | None
    age_s: float
    now: datetime
    is_readable: bool = True
    users: tuple[str, ...] = ()


def read_marks(run_id: str, marked: Iterable[Mapping[str, str]]) -> Marks:
    """Read the marks of a run's resources; one that can be read is enough.

    Args:
        run_id: the flow run's, 32 hexadecimal digits.
        marked: the marks of each resource.
    """
    all_marks = list(marked)
    limits = [limit for marks in all_marks if (limit := _seconds(marks.get("heartbeat_limit_s")))]
    ends = [end for marks in all_marks if (end := _instant(marks.get("delete_after")))]
    place = f"{PREFIX}{run_id}-application/{HEARTBEAT_BLOB}"
    damages = []
    if not limits:
        damages.append("no readable heartbeat_limit_s")
    if not ends:
        damages.append("no readable delete_after")
    if all(marks.get("heartbeat") != place for marks in all_marks):
        damages.append("no heartbeat of its own")
    return Marks(max(limits, default=None), max(ends, default=None), tuple(damages))


def _seconds(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 < value <= LONGEST_RUN_S else None


def _instant(text: str | None) -> datetime | None:
    try:
        value = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return value if value.tzinfo else None


def judge(evidence: Evidence) -> Liveness:
    """Tell whether a run lives."""
    marks, seen = evidence.marks, evidence.sighting
    if marks.limit_s and seen and _is_fresh(seen, marks.limit_s):
        return _alive(seen, marks.limit_s, marks.delete_after)
    if evidence.users:
        return Liveness(LifeState.ALIVE, f"others work on its pool: {', '.join(evidence.users)}")
    if marks.limit_s is None or marks.delete_after is None or marks.damages:
        return _unclear(evidence, ", ".join(marks.damages))
    if not evidence.is_readable:
        return _unreadable(evidence, marks.delete_after + timedelta(seconds=marks.limit_s))
    if seen is None:
        return _without_heartbeat(evidence.age_s, marks.limit_s)
    return _silent(seen, marks.limit_s, marks.delete_after)


def _is_fresh(seen: Sighting, limit_s: float) -> bool:
    return seen.beat.state is not RunState.KEPT and seen.age_s < limit_s


def _alive(seen: Sighting, limit_s: float, waste_after: datetime | None) -> Liveness:
    why = f"heartbeat of {seen.age_s:.0f} s ago, limit {limit_s:g} s"
    again_s = limit_s - seen.age_s
    if seen.beat.state is RunState.DELETING:
        return Liveness(
            LifeState.ALIVE, f"flow run {seen.beat.holder} is deleting it; {why}", again_s
        )
    if seen.beat.state is RunState.WAITING:
        return Liveness(LifeState.ALIVE, f"waits for a person; {why}")
    late = ", though past delete_after" if waste_after and seen.seen > waste_after else ""
    return Liveness(LifeState.ALIVE, why + late, again_s)


def _unclear(evidence: Evidence, damages: str) -> Liveness:
    why = f"{damages}; {evidence.age_s:.0f} s old"
    if evidence.age_s > LONGEST_RUN_S:
        return Liveness(
            LifeState.DEAD, f"{why}, and no run may take longer than {LONGEST_RUN_S:.0f} s"
        )
    return Liveness(LifeState.UNCLEAR, f"{why}: look yourself, and delete it by hand")


def _unreadable(evidence: Evidence, waste_after: datetime) -> Liveness:
    if evidence.now > waste_after:
        return Liveness(LifeState.DEAD, "its heartbeat is damaged, and it is past delete_after")
    return _unclear(evidence, "its heartbeat is damaged")


def _without_heartbeat(age_s: float, limit_s: float) -> Liveness:
    why = f"no heartbeat, {age_s:.0f} s old, limit {limit_s:g} s"
    if age_s < limit_s:
        return Liveness(LifeState.ALIVE, why, limit_s - age_s)
    return Liveness(LifeState.DEAD, why)


def _silent(seen: Sighting, limit_s: float, waste_after: datetime) -> Liveness:
    """Judge a run without a fresh heartbeat: it may not need one."""
    beat = seen.beat
    until = min(beat.until or waste_after, waste_after)
    # A process that died while it deleted the rest has left what was to be kept.
    if beat.state is RunState.KEPT or (beat.state is RunState.DELETING and beat.until):
        state = LifeState.KEPT if seen.seen < until else LifeState.DEAD
        # A fresh one may still be deleting the rest itself.
        kept = beat.kept if seen.age_s >= limit_s else None
        return Liveness(state, f"kept until {_minute(until)}", kept=kept)
    if beat.state is RunState.WAITING:
        # Who waited needs a moment to continue.
        state = (
            LifeState.ALIVE if seen.seen < until + timedelta(seconds=limit_s) else LifeState.DEAD
        )
        return Liveness(state, f"waits for a person until {_minute(until)}")
    return Liveness(LifeState.DEAD, f"heartbeat of {seen.age_s:.0f} s ago, limit {limit_s:g} s")


def _minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"


def is_wrongly_at_work(liveness: Liveness, state_type: str | None) -> bool:
    """Tell whether Prefect takes a dead run for being at work.

    Args:
        liveness: of the run.
        state_type: the type of its state, upper case; None: this server does not know it.
    """
    return liveness.state is LifeState.DEAD and state_type in AT_WORK

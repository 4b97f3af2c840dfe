"""Whether a run lives, as others can tell: by its marks and its heartbeat alone; pure.

Prefect's word is no part of it: it shows runs as running that have been dead for days.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from prefect_azure_batch.model.run import HEARTBEAT_BLOB, PREFIX
from prefect_azure_batch.ownership.heartbeat_blob import Sighting, State

# The service gives up a batch task after this time, and no run is allowed more.
LONGEST_RUN_S = 180 * 24 * 3600.0
# States in which Prefect takes a flow run for being at work: it holds its place in limits.
AT_WORK = frozenset({"RUNNING", "PENDING", "CANCELLING"})


class Word(StrEnum):
    """What becomes of a run.

    Attributes:
        ALIVE: left alone, whatever Prefect says.
        KEPT: ended; left alone until its time is over.
        DEAD: deleted whole.
        UNCLEAR: its marks cannot be read; left alone, and told.
    """

    ALIVE = "alive"
    KEPT = "kept"
    DEAD = "dead"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Verdict:
    """What becomes of a run, and why.

    Attributes:
        word: what.
        why: the evidence, in words.
        again_s: seconds after which it is worth to look again; None: no use to wait for it.
        kept: of a kept run that is silent, the kinds of resources that stay; None: all.
    """

    word: Word
    why: str
    again_s: float | None = None
    kept: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Marks:
    """What the resources of a run say about it; what several of them say differently, the longest.

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
    damages = {
        "no readable heartbeat_limit_s": not limits,
        "no readable delete_after": not ends,
        "no heartbeat of its own": all(marks.get("heartbeat") != place for marks in all_marks),
    }
    return Marks(
        max(limits, default=None),
        max(ends, default=None),
        tuple(told for told, holds in damages.items() if holds),
    )


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


def judge(evidence: Evidence) -> Verdict:
    """Tell whether a run lives."""
    marks, seen = evidence.marks, evidence.sighting
    if marks.limit_s and seen and _beats(seen, marks.limit_s):
        return _alive(seen, marks.limit_s, marks.delete_after)
    if evidence.users:
        return Verdict(Word.ALIVE, f"others work on its pool: {', '.join(evidence.users)}")
    if marks.limit_s is None or marks.delete_after is None or marks.damages:
        return _unclear(evidence, ", ".join(marks.damages))
    if not evidence.is_readable:
        return _unreadable(evidence, marks.delete_after + timedelta(seconds=marks.limit_s))
    if seen is None:
        return _without_heartbeat(evidence.age_s, marks.limit_s)
    return _silent(seen, marks.limit_s, marks.delete_after)


def _beats(seen: Sighting, limit_s: float) -> bool:
    return seen.beat.state is not State.KEPT and seen.age_s < limit_s


def _alive(seen: Sighting, limit_s: float, waste_after: datetime | None) -> Verdict:
    told = f"heartbeat of {seen.age_s:.0f} s ago, limit {limit_s:g} s"
    again_s = limit_s - seen.age_s
    if seen.beat.state is State.DELETING:
        return Verdict(Word.ALIVE, f"flow run {seen.beat.holder} is deleting it; {told}", again_s)
    if seen.beat.state is State.WAITING:
        return Verdict(Word.ALIVE, f"waits for a person; {told}")
    late = ", though past delete_after" if waste_after and seen.seen > waste_after else ""
    return Verdict(Word.ALIVE, told + late, again_s)


def _unclear(evidence: Evidence, damages: str) -> Verdict:
    told = f"{damages}; {evidence.age_s:.0f} s old"
    if evidence.age_s > LONGEST_RUN_S:
        return Verdict(Word.DEAD, f"{told}, and no run may take longer than {LONGEST_RUN_S:.0f} s")
    return Verdict(Word.UNCLEAR, f"{told}: look yourself, and delete it by hand")


def _unreadable(evidence: Evidence, waste_after: datetime) -> Verdict:
    if evidence.now > waste_after:
        return Verdict(Word.DEAD, "its heartbeat is damaged, and it is past delete_after")
    return _unclear(evidence, "its heartbeat is damaged")


def _without_heartbeat(age_s: float, limit_s: float) -> Verdict:
    told = f"no heartbeat, {age_s:.0f} s old, limit {limit_s:g} s"
    if age_s < limit_s:
        return Verdict(Word.ALIVE, told, limit_s - age_s)
    return Verdict(Word.DEAD, told)


def _silent(seen: Sighting, limit_s: float, waste_after: datetime) -> Verdict:
    """Judge a run that does not beat: it may not have to."""
    beat = seen.beat
    until = min(beat.until or waste_after, waste_after)
    # Whoever fell silent while deleting was to leave what is kept.
    if beat.state is State.KEPT or (beat.state is State.DELETING and beat.until):
        word = Word.KEPT if seen.seen < until else Word.DEAD
        # A moment ago it was deleting the rest itself.
        kept = beat.kept if seen.age_s >= limit_s else None
        return Verdict(word, f"kept until {_minute(until)}", kept=kept)
    if beat.state is State.WAITING:
        # Whoever waited needs a moment to go on.
        word = Word.ALIVE if seen.seen < until + timedelta(seconds=limit_s) else Word.DEAD
        return Verdict(word, f"waits for a person until {_minute(until)}")
    return Verdict(Word.DEAD, f"heartbeat of {seen.age_s:.0f} s ago, limit {limit_s:g} s")


def _minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"


def is_corpse(verdict: Verdict, state_type: str | None) -> bool:
    """Tell whether Prefect takes a dead run for being at work.

    Args:
        verdict: on the run.
        state_type: the type of its state, upper case; None: this server does not know it.
    """
    return verdict.word is Word.DEAD and state_type in AT_WORK

"""Whether a run lives, by its marks and its heartbeat."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from prefect_azure_batch.ownership.heartbeat_blob import Beat, RunState, Sighting
from prefect_azure_batch.ownership.liveness import (
    LONGEST_RUN_S,
    Evidence,
    LifeState,
    Liveness,
    Marks,
    is_wrongly_at_work,
    judge,
    read_marks,
)

NOW = datetime(2026, 1, 2, tzinfo=UTC)
RUN_ID = "0123456789abcdef0123456789abcdef"
LIMIT_S = 600
GOOD = {
    "heartbeat": f"tw-{RUN_ID}-application/heartbeat",
    "heartbeat_limit_s": str(LIMIT_S),
    "delete_after": "2026-01-03T00:00:00+00:00",
}
DAMAGED = Marks(LIMIT_S, None, ("no readable delete_after",))


def later(hours: float) -> datetime:
    """Return a time as many hours from now; less than 0: before."""
    return NOW + timedelta(hours=hours)


def beat(state: RunState, age_s: float, until: datetime | None = None) -> Sighting:
    """Return a heartbeat as it is seen now."""
    return Sighting(Beat(holder=RUN_ID, process="p", state=state, until=until), "e", age_s, NOW)


def judged(
    sighting: Sighting | None,
    marks: Marks | None = None,
    age_s: float = 10_000,
    *,
    is_readable: bool = True,
    users: tuple[str, ...] = (),
) -> Liveness:
    """Judge a run; its marks are good unless others are given."""
    marks = marks or read_marks(RUN_ID, [GOOD])
    return judge(Evidence(marks, sighting, age_s, NOW, is_readable, users))


@pytest.mark.parametrize(
    ("sighting", "word"),
    [
        (beat(RunState.RUNNING, 599), LifeState.ALIVE),
        (beat(RunState.RUNNING, 600), LifeState.DEAD),
        (beat(RunState.DELETING, 599), LifeState.ALIVE),
        (beat(RunState.DELETING, 600), LifeState.DEAD),
        (beat(RunState.KEPT, 10_000, later(1)), LifeState.KEPT),
        (beat(RunState.KEPT, 10, later(-1)), LifeState.DEAD),
        (beat(RunState.KEPT, 10), LifeState.KEPT),
        (beat(RunState.WAITING, 10_000, later(1)), LifeState.ALIVE),
        # Who waited continues at the end of the time, and renews its heartbeat.
        (beat(RunState.WAITING, 10_000, later(-0.1)), LifeState.ALIVE),
        (beat(RunState.WAITING, 10_000, later(-0.2)), LifeState.DEAD),
    ],
)
def test_heartbeat(sighting: Sighting, word: LifeState) -> None:
    """The heartbeat says whether a run lives, is kept, or is dead."""
    assert judged(sighting).state is word


def kept(state: RunState, age_s: float) -> Sighting:
    """Return the heartbeat of a run that keeps its job for an hour."""
    sighting = beat(state, age_s, later(1))
    return replace(sighting, beat=sighting.beat.model_copy(update={"kept": ("job",)}))


@pytest.mark.parametrize(("age_s", "stays"), [(599, None), (600, ("job",))])
def test_rest_of_a_kept_run(age_s: float, stays: tuple[str, ...] | None) -> None:
    """What a run does not keep is its own to delete, until it has been silent for its limit."""
    found = judged(kept(RunState.KEPT, age_s))

    assert (found.state, found.kept) == (LifeState.KEPT, stays)


def test_janitor_that_died_over_the_rest() -> None:
    """What a run keeps stays kept if the janitor dies that deletes the rest."""
    found = judged(kept(RunState.DELETING, 600))

    assert (found.state, found.kept) == (LifeState.KEPT, ("job",))


@pytest.mark.parametrize(("age_s", "word"), [(599, LifeState.ALIVE), (600, LifeState.DEAD)])
def test_no_heartbeat_yet(age_s: float, word: LifeState) -> None:
    """Before the first heartbeat the time since the creation counts."""
    assert judged(None, age_s=age_s).state is word


def past_waste() -> Marks:
    """Return marks of a run that was waste an hour ago."""
    return read_marks(RUN_ID, [GOOD | {"delete_after": later(-1).isoformat()}])


def test_live_run_past_its_time_is_reported() -> None:
    """A fresh heartbeat means alive, even past `delete_after`."""
    found = judged(beat(RunState.RUNNING, 1), past_waste())

    assert found.state is LifeState.ALIVE
    assert "past delete_after" in found.why


@pytest.mark.parametrize("state", [RunState.KEPT, RunState.WAITING])
def test_nothing_is_kept_past_delete_after(state: RunState) -> None:
    """Whatever the heartbeat says, nothing is kept or waits longer than the marks say."""
    assert judged(beat(state, 10_000, later(5)), past_waste()).state is LifeState.DEAD


@pytest.mark.parametrize(
    ("mark", "value"),
    [
        ("heartbeat_limit_s", "?"),
        ("heartbeat_limit_s", "-1"),
        ("heartbeat_limit_s", "nan"),
        ("heartbeat_limit_s", "inf"),
        ("delete_after", "tomorrow"),
        ("delete_after", "2026-01-03T00:00:00"),
        ("heartbeat", "somewhere"),
    ],
)
def test_damaged_mark(mark: str, value: str) -> None:
    """What a mark cannot say is never guessed: a silent run is left alone, and the mark named."""
    found = judged(beat(RunState.RUNNING, 10_000), read_marks(RUN_ID, [GOOD | {mark: value}]))

    assert found.state is LifeState.UNCLEAR
    assert mark in found.why


def test_absent_marks() -> None:
    """A resource that says nothing leaves everything unclear."""
    assert len(read_marks(RUN_ID, [{}]).damages) == 3


def test_one_good_resource_is_enough() -> None:
    """Marks that one resource has lost are read off another."""
    assert read_marks(RUN_ID, [{}, GOOD]).damages == ()


def test_the_longest_of_several_marks_holds() -> None:
    """A resumed run renews the marks of what it takes over, one resource after the other."""
    renewed = GOOD | {"heartbeat_limit_s": "900", "delete_after": "2026-01-04T00:00:00+00:00"}

    marks = read_marks(RUN_ID, [renewed, GOOD])

    assert (marks.limit_s, marks.delete_after) == (900, datetime(2026, 1, 4, tzinfo=UTC))


def test_damaged_marks_of_a_live_run() -> None:
    """A fresh heartbeat needs no other mark than its limit."""
    assert judged(beat(RunState.RUNNING, 1), DAMAGED).state is LifeState.ALIVE


@pytest.mark.parametrize(
    ("age_s", "word"), [(LONGEST_RUN_S, LifeState.UNCLEAR), (LONGEST_RUN_S + 1, LifeState.DEAD)]
)
@pytest.mark.parametrize("sighting", [None, beat(RunState.RUNNING, 10_000)])
def test_unclear_run_is_deleted_once_no_run_can_be_so_old(
    sighting: Sighting | None, age_s: float, word: LifeState
) -> None:
    """A silent run with damaged marks goes when it is older than any run may be."""
    assert judged(sighting, DAMAGED, age_s).state is word


def test_heartbeat_that_cannot_be_read() -> None:
    """A damaged heartbeat is not the absence of one; past its marks' time the run is waste."""
    found = judged(None, is_readable=False)

    assert (found.state, "heartbeat is damaged" in found.why) == (LifeState.UNCLEAR, True)
    assert judged(None, past_waste(), is_readable=False).state is LifeState.DEAD


def test_pool_in_use() -> None:
    """A dead run stays while the job of another works on its pool; the job is named."""
    found = judged(beat(RunState.RUNNING, 10_000), users=("job-1",))

    assert (found.state, "job-1" in found.why) == (LifeState.ALIVE, True)


@pytest.mark.parametrize(
    ("sighting", "age_s", "again_s"),
    [
        (beat(RunState.RUNNING, 500), 10_000, 100),
        (None, 590, 10),
        (beat(RunState.DELETING, 500), 10_000, 100),
        (beat(RunState.KEPT, 10, later(1)), 10_000, None),
        (beat(RunState.WAITING, 10, later(1)), 10_000, None),
        (beat(RunState.RUNNING, 700), 10_000, None),
    ],
)
def test_when_to_look_again(sighting: Sighting | None, age_s: float, again_s: float | None) -> None:
    """A run that is alive by its heartbeat or its age can be dead when its limit has passed."""
    assert judged(sighting, age_s=age_s).again_s == again_s


@pytest.mark.parametrize(
    ("word", "state_type", "expected"),
    [
        (LifeState.DEAD, "RUNNING", True),
        (LifeState.DEAD, "CANCELLING", True),
        (LifeState.DEAD, "PENDING", True),
        (LifeState.DEAD, "CRASHED", False),
        (LifeState.DEAD, None, False),
        (LifeState.ALIVE, "RUNNING", False),
        (LifeState.KEPT, "RUNNING", False),
        (LifeState.UNCLEAR, "RUNNING", False),
    ],
)
def test_wrongly_at_work(word: LifeState, state_type: str | None, *, expected: bool) -> None:
    """Only a dead run's flow run that Prefect takes for being at work is to be corrected."""
    assert is_wrongly_at_work(Liveness(word, ""), state_type) is expected

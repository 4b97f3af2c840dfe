"""Whether a run lives, by its marks and its heartbeat."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from prefect_azure_batch.ownership.heartbeat_blob import Beat, Sighting, State
from prefect_azure_batch.ownership.liveness import (
    LONGEST_RUN_S,
    Evidence,
    Marks,
    Verdict,
    Word,
    is_corpse,
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


def beat(state: State, age_s: float, until: datetime | None = None) -> Sighting:
    """Return a heartbeat as it is seen now."""
    return Sighting(Beat(holder=RUN_ID, process="p", state=state, until=until), "e", age_s, NOW)


def verdict(
    sighting: Sighting | None,
    marks: Marks | None = None,
    age_s: float = 10_000,
    *,
    is_readable: bool = True,
    users: tuple[str, ...] = (),
) -> Verdict:
    """Judge a run that has good marks unless told otherwise."""
    marks = marks or read_marks(RUN_ID, [GOOD])
    return judge(Evidence(marks, sighting, age_s, NOW, is_readable, users))


@pytest.mark.parametrize(
    ("sighting", "word"),
    [
        (beat(State.RUNNING, 599), Word.ALIVE),
        (beat(State.RUNNING, 600), Word.DEAD),
        (beat(State.DELETING, 599), Word.ALIVE),
        (beat(State.DELETING, 600), Word.DEAD),
        (beat(State.KEPT, 10_000, later(1)), Word.KEPT),
        (beat(State.KEPT, 10, later(-1)), Word.DEAD),
        (beat(State.KEPT, 10), Word.KEPT),
        (beat(State.WAITING, 10_000, later(1)), Word.ALIVE),
        # Whoever waited goes on at the end of the time, and beats again.
        (beat(State.WAITING, 10_000, later(-0.1)), Word.ALIVE),
        (beat(State.WAITING, 10_000, later(-0.2)), Word.DEAD),
    ],
)
def test_heartbeat(sighting: Sighting, word: Word) -> None:
    """The heartbeat says whether a run lives, is kept, or is dead."""
    assert verdict(sighting).word is word


def kept(state: State, age_s: float) -> Sighting:
    """Return the heartbeat of a run that keeps its job for an hour."""
    sighting = beat(state, age_s, later(1))
    return replace(sighting, beat=sighting.beat.model_copy(update={"kept": ("job",)}))


@pytest.mark.parametrize(("age_s", "stays"), [(599, None), (600, ("job",))])
def test_rest_of_a_kept_run(age_s: float, stays: tuple[str, ...] | None) -> None:
    """What a run does not keep is its own to delete, until it has been silent for its limit."""
    found = verdict(kept(State.KEPT, age_s))

    assert (found.word, found.kept) == (Word.KEPT, stays)


def test_janitor_that_died_over_the_rest() -> None:
    """What a run keeps stays kept if the janitor dies that deletes the rest."""
    found = verdict(kept(State.DELETING, 600))

    assert (found.word, found.kept) == (Word.KEPT, ("job",))


@pytest.mark.parametrize(("age_s", "word"), [(599, Word.ALIVE), (600, Word.DEAD)])
def test_no_heartbeat_yet(age_s: float, word: Word) -> None:
    """Before the first heartbeat the time since the creation counts."""
    assert verdict(None, age_s=age_s).word is word


def past_waste() -> Marks:
    """Return marks of a run that was waste an hour ago."""
    return read_marks(RUN_ID, [GOOD | {"delete_after": later(-1).isoformat()}])


def test_live_run_past_its_time_is_told_of() -> None:
    """A fresh heartbeat means alive, even past `delete_after`."""
    found = verdict(beat(State.RUNNING, 1), past_waste())

    assert found.word is Word.ALIVE
    assert "past delete_after" in found.why


@pytest.mark.parametrize("state", [State.KEPT, State.WAITING])
def test_nothing_is_kept_past_delete_after(state: State) -> None:
    """Whatever the heartbeat says, nothing is kept or waits longer than the marks say."""
    assert verdict(beat(state, 10_000, later(5)), past_waste()).word is Word.DEAD


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
    found = verdict(beat(State.RUNNING, 10_000), read_marks(RUN_ID, [GOOD | {mark: value}]))

    assert found.word is Word.UNCLEAR
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
    assert verdict(beat(State.RUNNING, 1), DAMAGED).word is Word.ALIVE


@pytest.mark.parametrize(
    ("age_s", "word"), [(LONGEST_RUN_S, Word.UNCLEAR), (LONGEST_RUN_S + 1, Word.DEAD)]
)
@pytest.mark.parametrize("sighting", [None, beat(State.RUNNING, 10_000)])
def test_unclear_run_is_deleted_once_no_run_can_be_so_old(
    sighting: Sighting | None, age_s: float, word: Word
) -> None:
    """A silent run with damaged marks goes when it is older than any run may be."""
    assert verdict(sighting, DAMAGED, age_s).word is word


def test_heartbeat_that_cannot_be_read() -> None:
    """A damaged heartbeat is not the absence of one; past its marks' time the run is waste."""
    found = verdict(None, is_readable=False)

    assert (found.word, "heartbeat is damaged" in found.why) == (Word.UNCLEAR, True)
    assert verdict(None, past_waste(), is_readable=False).word is Word.DEAD


def test_pool_in_use() -> None:
    """A dead run stays while the job of another works on its pool; the job is named."""
    found = verdict(beat(State.RUNNING, 10_000), users=("job-1",))

    assert (found.word, "job-1" in found.why) == (Word.ALIVE, True)


@pytest.mark.parametrize(
    ("sighting", "age_s", "again_s"),
    [
        (beat(State.RUNNING, 500), 10_000, 100),
        (None, 590, 10),
        (beat(State.DELETING, 500), 10_000, 100),
        (beat(State.KEPT, 10, later(1)), 10_000, None),
        (beat(State.WAITING, 10, later(1)), 10_000, None),
        (beat(State.RUNNING, 700), 10_000, None),
    ],
)
def test_when_to_look_again(sighting: Sighting | None, age_s: float, again_s: float | None) -> None:
    """A run that beats, or is young, can be dead when its limit has passed."""
    assert verdict(sighting, age_s=age_s).again_s == again_s


@pytest.mark.parametrize(
    ("word", "state_type", "expected"),
    [
        (Word.DEAD, "RUNNING", True),
        (Word.DEAD, "CANCELLING", True),
        (Word.DEAD, "PENDING", True),
        (Word.DEAD, "CRASHED", False),
        (Word.DEAD, None, False),
        (Word.ALIVE, "RUNNING", False),
        (Word.KEPT, "RUNNING", False),
        (Word.UNCLEAR, "RUNNING", False),
    ],
)
def test_corpse(word: Word, state_type: str | None, *, expected: bool) -> None:
    """Only a dead run's flow run that Prefect takes for being at work is to be put right."""
    assert is_corpse(Verdict(word, ""), state_type) is expected

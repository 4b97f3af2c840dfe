"""What has changed since the last list: nothing twice, and nothing left out."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from prefect_azure_batch.running.changed_items import OVERLAP, Changes

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass
class Item:
    """A batch task as it was listed."""

    id: str
    state: str
    state_transition_time: datetime | None


def test_first_list_has_no_time() -> None:
    """What was there before is listed once."""
    changes = Changes()

    assert changes.filter() is None
    assert changes.filter("state eq 'completed'") == "state eq 'completed'"


def test_next_list_overlaps_the_last() -> None:
    """It begins before the last change seen, by the service's time, to the microsecond."""
    changes = Changes()
    changes.new([Item("a", "active", NOON + timedelta(microseconds=7))])

    assert changes.filter("state ne 'active'") == (
        "state ne 'active' and stateTransitionTime ge DateTime'2026-11-22T11:59:55.000007Z'"
    )


def test_same_state_is_new_only_once() -> None:
    """What the overlap lists again is left out; another state, or the same again later, is not."""
    changes = Changes()
    active = Item("a", "Active", NOON)
    again = Item("a", "active", NOON + timedelta(seconds=1))

    assert changes.new([active]) == [active]
    assert changes.new([active, again]) == [again]
    assert changes.new([active, again]) == []


def test_time_does_not_go_back() -> None:
    """A late arrival with an older time moves nothing, and is new."""
    changes = Changes()
    changes.new([Item("a", "completed", NOON)])
    late = Item("b", "completed", NOON - timedelta(seconds=3))

    before = changes.filter()

    assert changes.new([late]) == [late]
    assert changes.filter() == before


def test_old_changes_are_forgotten() -> None:
    """What no list can have again takes no memory."""
    changes = Changes()
    for second in range(1000):
        changes.new([Item(str(second), "completed", NOON + timedelta(seconds=second))])

    assert len(changes._recent) == OVERLAP.total_seconds() + 1


def test_what_has_no_time() -> None:
    """Where the service leaves times out, everything is listed, and each state is new once."""
    changes = Changes()
    timed, untimed = Item("a", "idle", NOON), Item("b", "idle", None)

    assert changes.new([timed, untimed]) == [timed, untimed]
    assert changes.filter() is None
    assert changes.new([timed, untimed]) == []
    assert changes.new([timed, Item("b", "running", None)]) == [Item("b", "running", None)]

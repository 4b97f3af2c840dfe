"""Lists of what has changed since the last list, by the time of its transition."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

from prefect_azure_batch.service.refusals import lowered

# What comes into a list a little later than it happened is in the next list.
OVERLAP = timedelta(seconds=5)


class HasState(Protocol):
    """A node or a batch task as it was listed."""

    id: str
    state: str

    @property
    def state_transition_time(self) -> datetime | None:
        """When it came into that state; the service may leave it out."""


Item = TypeVar("Item", bound=HasState)


class Changes:
    """What has been listed already, so that a list has only what changed, and each change once."""

    def __init__(self) -> None:
        self._latest: datetime | None = None
        self._recent: dict[tuple[str, str, datetime | None], None] = {}
        self._have_times = True

    def filter(self, *conditions: str) -> str | None:
        """Return the filter of the next list: the conditions, and the time from which on.

        The first list has what is there, so it has no time; nor has any, once something was
        listed without the time of its transition.
        """
        since = self._latest - OVERLAP if self._latest and self._have_times else None
        when = [f"stateTransitionTime ge DateTime'{since:%Y-%m-%dT%H:%M:%S.%fZ}'"] if since else []
        return " and ".join([*conditions, *when]) or None

    def new(self, listed: Iterable[Item]) -> list[Item]:
        """Return those that are in a state that they were not listed in before."""
        found = []
        for item in listed:
            said = item.state_transition_time
            changed = said.astimezone(UTC) if said else None
            key = (item.id, lowered(item.state), changed)
            if key not in self._recent:
                found.append(item)
            self._recent[key] = None
            if changed is None:
                self._have_times = False
            else:
                self._latest = max(self._latest or changed, changed)
        self._forget()
        return found

    def _forget(self) -> None:
        """Keep in mind only what the next list can have again."""
        if self._latest is not None:
            first = self._latest - OVERLAP
            self._recent = {
                key: None
                for key in self._recent
                if not self._have_times or key[2] is None or key[2] >= first
            }

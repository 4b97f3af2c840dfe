"""What a folder, glob or prefix stands for and a run does not work on: never without a word."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from prefect_azure_batch.messages import few

MOST_REASONS = 5
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One of them.

    Attributes:
        source: its path, or `az://container/name`.
        reason: the end of a sentence about it, such as `is not a regular file`.
    """

    source: str
    reason: str


def left_out_in_words(left_out: Sequence[LeftOut], most_named: int = MOST_NAMED) -> str:
    """Return how many were left out, and the first ones by their reasons; empty if none were.

    Args:
        left_out: all of them.
        most_named: how many are named with each reason.
    """
    if not left_out:
        return ""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for item in left_out:
        groups[item.reason].append(repr(item.source))
    parts = [
        f"{few(sources, most_named)} {'each ' if len(sources) > 1 else ''}{reason}"
        for reason, sources in groups.items()
    ]
    more = [f"{len(parts) - MOST_REASONS} more reasons"] if len(parts) > MOST_REASONS else []
    return f"{len(left_out):,}: {'; '.join([*parts[:MOST_REASONS], *more])}"

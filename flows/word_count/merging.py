"""Which batch tasks add up the counts of others, level by level; pure.

A level is submitted when the one below is verified. Dependencies within the service would block
for ever on one batch task that failed.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import zip_longest

from flows.word_count.output_names import words_name_of
from flows.word_count.result import TOTAL_NAME
from prefect_azure_batch import BlobPlace, NodeFile, PlannedTask, Run

# Each counts file is a URL of half a kilobyte in a request, and a tenth of a second of merging.
FAN_IN = 100


def counts_of(batch_task_id: str) -> str:
    """Return the blob of the output container that holds all words of a batch task's inputs."""
    return f"{batch_task_id}.counts.gz"


def plan_levels(
    run: Run, planned: Sequence[PlannedTask], num_words: int, *, wants_total: bool
) -> list[list[PlannedTask]]:
    """Plan all levels: the batch tasks that read the inputs, then those that add up counts.

    Args:
        run: names the output container.
        planned: the batch tasks that read the inputs; of an input in parts, one for each part.
        num_words: how many words each result has, at least 1.
        wants_total: whether all inputs are added up as well; then all write their counts.

    Returns:
        At least one level; each needs only what those before it leave.
    """
    parts: defaultdict[str, list[PlannedTask]] = defaultdict(list)
    for item in planned:
        if item.read_urls:
            parts[item.inputs[0]].append(item)
    trees = [
        _tree(run, items, f"{_stem(items[0])}-merge", words_name_of(name), num_words)
        for name, items in parts.items()
    ]
    if wants_total:
        trees.append(_tree(run, planned, "total-", TOTAL_NAME, num_words))
    by_level = zip_longest(*trees, fillvalue=())
    return [list(planned), *([item for level in levels for item in level] for levels in by_level)]


def _stem(part: PlannedTask) -> str:
    return part.id.rpartition("-part")[0]


def _tree(
    run: Run, leaves: Sequence[PlannedTask], prefix: str, result: str, num_words: int
) -> list[list[PlannedTask]]:
    """Plan the levels that add up the counts of some batch tasks; the last is one batch task."""
    levels: list[list[PlannedTask]] = []
    below = leaves
    while not levels or len(below) > 1:
        groups = [below[start : start + FAN_IN] for start in range(0, len(below), FAN_IN)]
        ids = [f"{prefix}{len(levels) + 1}-{number}" for number in range(len(groups))]
        final = result if len(groups) == 1 else ""
        below = [_reducer(run, *pair, final, num_words) for pair in zip(ids, groups, strict=True)]
        levels.append(below)
    return levels


def _reducer(
    run: Run, batch_task_id: str, below: Sequence[PlannedTask], result: str, num_words: int
) -> PlannedTask:
    """Plan a batch task that adds up the counts of others; it leaves its own, or a result."""
    counts = [counts_of(item.id) for item in below]
    own = () if result else (counts_of(batch_task_id),)
    output = result or f"{batch_task_id}_OUTPUT.txt"
    return PlannedTask(
        id=batch_task_id,
        inputs=tuple(dict.fromkeys(name for item in below for name in item.inputs)),
        arguments=(
            *("--merge", *counts),
            *("--numwords", str(num_words)),
            f"--output={output}",
            *(f"--counts={name}" for name in own),
        ),
        files=tuple(NodeFile(BlobPlace(run.output_container, name), name) for name in counts),
        outputs=(*own, output),
        results=(result,) if result else (),
        kind="that add up counts",
    )

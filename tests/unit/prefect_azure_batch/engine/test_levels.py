"""Which batch tasks were done by an earlier attempt."""

import pytest

from prefect_azure_batch.engine.levels import is_done
from prefect_azure_batch.model.tasks import BlobPlace, NodeFile, PlannedTask

REDUCER = PlannedTask(
    id="total-1-0",
    inputs=("a.txt", "b.txt"),
    arguments=(),
    files=tuple(NodeFile(BlobPlace("out", name), name) for name in ("a.counts.gz", "b.counts.gz")),
    outputs=("all-inputs.txt",),
    results=("all-inputs.txt",),
)
INPUT = PlannedTask(
    id="topNtask0",
    inputs=("a.txt",),
    arguments=(),
    files=(NodeFile(BlobPlace("in", "a.txt"), "a.txt"),),
    outputs=("a_OUTPUT.txt", "topNtask0.counts.gz"),
    results=("a_OUTPUT.txt",),
)


@pytest.mark.parametrize(
    ("planned", "good", "expected"),
    [
        (INPUT, {"a_OUTPUT.txt", "topNtask0.counts.gz"}, True),
        (INPUT, {"a_OUTPUT.txt"}, False),
        (REDUCER, {"all-inputs.txt", "a.counts.gz", "b.counts.gz"}, True),
        (REDUCER, {"all-inputs.txt", "a.counts.gz"}, False),
    ],
    ids=["all outputs", "no counts", "all counts hold", "counts are made anew"],
)
def test_done_before(planned: PlannedTask, good: set[str], expected: bool) -> None:  # noqa: FBT001 - a table
    """A batch task is done if its outputs are there, and what they were made of still holds."""
    assert is_done(planned, good, "out") is expected

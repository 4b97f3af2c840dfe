"""Levels of batch tasks that add up counts."""

from itertools import pairwise
from uuid import UUID

import pytest

from flows.word_count.merging import FAN_IN, plan_levels
from prefect_azure_batch.model.run import Run, new_run
from prefect_azure_batch.model.tasks import BlobPlace, PlannedTask
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings

RUN = new_run(UUID(int=1), 1, JobSettings(), CleanUpPolicy(), 0)


def whole(number: int) -> PlannedTask:
    """Return a batch task that counts one file and leaves its counts."""
    name = f"{number}.txt"
    return PlannedTask(
        id=f"topNtask{number}",
        inputs=(name,),
        arguments=(),
        files=(),
        outputs=(f"{number}_OUTPUT.txt", f"topNtask{number}.counts.gz"),
        results=(f"{number}_OUTPUT.txt",),
    )


def part(number: int, of: int = 7) -> PlannedTask:
    """Return a batch task that counts a part of file 7."""
    task_id = f"topNtask{of}-part{number}"
    return PlannedTask(
        id=task_id,
        inputs=(f"{of}.txt",),
        arguments=(),
        files=(),
        outputs=(f"{task_id}.counts.gz", f"{task_id}_OUTPUT.txt"),
        results=(),
        read_urls=(("URL", BlobPlace("c", f"{of}.txt")),),
    )


def merged(run: Run, planned: PlannedTask) -> list[str]:
    """Return the counts that a batch task adds up, checked to be what it finds."""
    assert planned.arguments[0] == "--merge"
    names = [file.file_path for file in planned.files]
    assert [*planned.arguments[1 : 1 + len(names)]] == names
    assert all(
        file.blob == BlobPlace(run.output_container, file.file_path) for file in planned.files
    )
    return names


def test_whole_files_without_a_total_have_one_level() -> None:
    """Nothing is added up where nobody asked for it."""
    planned = [whole(0), whole(1)]

    assert plan_levels(RUN, planned, 3, wants_total=False) == [planned]


def test_parts_make_the_result_of_their_file() -> None:
    """The parts of a file are added up to its output, which alone is downloaded."""
    planned = [whole(0), part(0), part(1)]

    _, (merge,) = plan_levels(RUN, planned, 3, wants_total=False)

    assert (merge.id, merge.kind) == ("topNtask7-merge1-0", "that add up counts")
    assert merge.inputs == ("7.txt",)
    assert merged(RUN, merge) == ["topNtask7-part0.counts.gz", "topNtask7-part1.counts.gz"]
    assert merge.outputs == merge.results == ("7_OUTPUT.txt",)
    assert merge.arguments[-3:] == ("--numwords", "3", "--output=7_OUTPUT.txt")


def test_total_adds_up_everything_beside_the_parts() -> None:
    """The total takes the counts of all batch tasks, in the same level as the parts' own."""
    planned = [whole(0), part(0), part(1)]

    _, (merge, total) = plan_levels(RUN, planned, 3, wants_total=True)

    assert (merge.id, total.id) == ("topNtask7-merge1-0", "total-1-0")
    assert len(merged(RUN, total)) == 3
    assert total.results == ("all-inputs.txt",)


def test_total_of_one_input() -> None:
    """One input has a total too."""
    _, (total,) = plan_levels(RUN, [whole(0)], 3, wants_total=True)

    assert merged(RUN, total) == ["topNtask0.counts.gz"]


@pytest.mark.parametrize(
    ("num_inputs", "sizes"),
    [(100, [1]), (101, [2, 1]), (10_000, [100, 1]), (10_001, [101, 2, 1])],
)
def test_levels_of_a_total(num_inputs: int, sizes: list[int]) -> None:
    """Each level adds up at most 100 counts a batch task, until there is one."""
    planned = [whole(number) for number in range(num_inputs)]

    levels = plan_levels(RUN, planned, 3, wants_total=True)

    assert [len(level) for level in levels[1:]] == sizes
    for below, level in pairwise(levels):
        left = [name for item in below for name in item.outputs if name.endswith(".counts.gz")]
        assert [name for item in level for name in merged(RUN, item)] == left
        assert max(len(item.files) for item in level) <= FAN_IN
    names = [name for level in levels for item in level for name in item.outputs]
    assert len(names) == len(set(names))

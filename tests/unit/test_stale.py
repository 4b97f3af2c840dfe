"""Which outputs of an earlier attempt no longer hold."""

from pathlib import Path
from uuid import UUID

import pytest

from flows.word_count.merging import plan_levels
from flows.word_count.packing import plan_batch_tasks
from prefect_azure_batch.model.run import new_run
from prefect_azure_batch.model.tasks import BlobPlace, InputFile, PlannedTask
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings
from prefect_azure_batch.staging.local_inputs import find_inputs
from prefect_azure_batch.staging.stale_outputs import recipe_of, stale_tasks
from prefect_azure_batch.workloads.own_program import plan_own_program

MEBIBYTE = 1024**2
RUN = new_run(UUID(int=0xABC), 0, JobSettings(), CleanUpPolicy())
INPUTS = [InputFile(f"{name}.txt", 10) for name in "abc"]
SPLIT = [InputFile("a.txt", 2 * MEBIBYTE), InputFile("b.txt", 10)]


def levels_of(
    inputs: list[InputFile], job: JobSettings, num_words: int = 3
) -> list[list[PlannedTask]]:
    """Return all levels of a run."""
    planned = plan_batch_tasks(RUN, inputs, num_words, job)
    return plan_levels(RUN, planned, num_words, wants_total=job.total)


def stale_ids(inputs: list[InputFile], job: JobSettings, *changed: BlobPlace) -> list[str]:
    """Return the ids of what is stale after changes."""
    return [item.id for item in stale_tasks(RUN, levels_of(inputs, job), frozenset(changed))]


def of_input(name: str) -> BlobPlace:
    """Return a blob of the input container."""
    return BlobPlace(RUN.input_container, name)


@pytest.mark.parametrize(
    ("inputs", "job", "changed", "stale"),
    [
        (INPUTS, JobSettings(), "b.txt", ["topNtask1"]),
        (INPUTS, JobSettings(), "d.txt", []),
        (INPUTS, JobSettings(total=True), "b.txt", ["topNtask1", "total-1-0"]),
        (INPUTS, JobSettings(files_per_batch_task=2), "bundles/bundle0.tar", ["bundle0"]),
        (
            SPLIT,
            JobSettings(split_bytes=MEBIBYTE),
            "a.txt",
            ["topNtask0-part0", "topNtask0-part1", "topNtask0-merge1-0"],
        ),
    ],
    ids=("one", "none", "total", "bundle", "split"),
)
def test_stale(inputs: list[InputFile], job: JobSettings, changed: str, stale: list[str]) -> None:
    """Stale is what reads a changed blob, and what adds up the counts of such batch tasks."""
    assert stale_ids(inputs, job, of_input(changed)) == stale


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A node program."""
    path = tmp_path / "program.py"
    path.write_text("1")
    return path


def test_recipe_ignores_what_only_takes_time(program: Path) -> None:
    """Another delay or number of slots leaves the outputs as they are."""
    recipes = {
        recipe_of(program, INPUTS, [plan_batch_tasks(RUN, INPUTS, 3, job, pool)])
        for job in (JobSettings(), JobSettings(delay_s=9))
        for pool in (PoolSettings(), PoolSettings(task_slots_per_node=1))
    }

    assert len(recipes) == 1


def test_recipe_holds_what_changes_outputs(program: Path) -> None:
    """Other words, packing, sets of inputs, blobs or programs make another recipe."""
    blob = BlobPlace("texts", "a.txt")
    recipes = [
        recipe_of(program, INPUTS, levels_of(INPUTS, JobSettings())),
        recipe_of(program, INPUTS, levels_of(INPUTS, JobSettings(), num_words=4)),
        recipe_of(program, INPUTS, levels_of(INPUTS, JobSettings(total=True))),
        recipe_of(program, INPUTS, levels_of(INPUTS, JobSettings(files_per_batch_task=3))),
        recipe_of(program, INPUTS[1:], levels_of(INPUTS[1:], JobSettings())),
        *(
            recipe_of(program, [source], levels_of([source], JobSettings()))
            for source in (
                InputFile("a.txt", 1, blob=blob, version="1"),
                InputFile("a.txt", 1, blob=blob, version="2"),
            )
        ),
    ]
    program.write_text("2")
    recipes.append(recipe_of(program, INPUTS, levels_of(INPUTS, JobSettings())))

    assert len(set(recipes)) == len(recipes)


def test_every_argument_of_an_own_program_is_in_the_recipe(program: Path) -> None:
    """Whatever they are called: they mean to it what it wants."""
    recipes = [
        recipe_of(program, INPUTS, [plan_own_program(RUN, INPUTS, job)], is_own=True)
        for arguments in ((), ("--delay", "1"), ("--delay", "2"))
        for job in (
            JobSettings(program="p.py", program_arguments=arguments),
            JobSettings(program="p.py", program_arguments=arguments, output_suffix=".x"),
        )
    ]

    assert len(set(recipes)) == len(recipes)


def test_recipe_is_the_same_for_the_same_files(program: Path) -> None:
    """Where the files lie, and when they were written, is nothing to it."""
    recipes = set()
    for folder in ("one", "two"):
        (program.parent / folder).mkdir()
        (program.parent / folder / "a.txt").write_text("text")
        inputs = find_inputs([str(program.parent / folder)])
        recipes.add(recipe_of(program, inputs, levels_of(inputs, JobSettings())))

    assert len(recipes) == 1

"""Which outputs of an earlier attempt no longer hold."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from flows.word_count import program
from flows.word_count.settings import CountSettings
from flows.word_count.workload import WordCount
from prefect_azure_batch.model.run import new_run
from prefect_azure_batch.model.tasks import BlobPlace, InputFile, Level
from prefect_azure_batch.model.workload import Workload
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings
from prefect_azure_batch.staging.local_inputs import find_inputs
from prefect_azure_batch.staging.stale_outputs import recipe_of, stale_tasks
from prefect_azure_batch.workloads.python_program import PythonProgram
from tests.support.contexts import a_context, services_of_nowhere

MEBIBYTE = 1024**2
RUN = new_run(UUID(int=0xABC), 0, JobSettings(), CleanUpPolicy())
INPUTS = [InputFile(f"{name}.txt", 10) for name in "abc"]
SPLIT = [InputFile("a.txt", 2 * MEBIBYTE), InputFile("b.txt", 10)]


def levels_of(inputs: Sequence[InputFile], workload: Workload[Any]) -> Sequence[Level]:
    """Return all levels of a run."""
    return workload.plan(RUN, inputs, PoolSettings())


def stale_ids(inputs: list[InputFile], job: CountSettings, *changed: BlobPlace) -> list[str]:
    """Return the ids of what is stale after changes."""
    levels = levels_of(inputs, WordCount(3, job))
    return [planned.id for planned in stale_tasks(RUN, levels, frozenset(changed))]


def recipe(
    inputs: Sequence[InputFile], workload: Workload[Any], pool: PoolSettings | None = None
) -> bytes:
    """Return the recipe of a run."""
    levels = workload.plan(RUN, inputs, pool or PoolSettings())
    context = a_context(services_of_nowhere(), RUN, workload=workload, inputs=inputs, levels=levels)
    return recipe_of(context)


def of_input(name: str) -> BlobPlace:
    """Return a blob of the input container."""
    return BlobPlace(RUN.input_container, name)


@pytest.mark.parametrize(
    ("inputs", "job", "changed", "stale"),
    [
        (INPUTS, CountSettings(), "b.txt", ["topNtask1"]),
        (INPUTS, CountSettings(), "d.txt", []),
        (INPUTS, CountSettings(total=True), "b.txt", ["topNtask1", "total-1-0"]),
        (INPUTS, CountSettings(files_per_batch_task=2), "bundles/bundle0.tar", ["bundle0"]),
        (
            SPLIT,
            CountSettings(split_bytes=MEBIBYTE),
            "a.txt",
            ["topNtask0-part0", "topNtask0-part1", "topNtask0-merge1-0"],
        ),
    ],
    ids=("one", "none", "total", "bundle", "split"),
)
def test_stale(inputs: list[InputFile], job: CountSettings, changed: str, stale: list[str]) -> None:
    """Stale is what reads a changed blob, and what adds up the counts of such batch tasks."""
    assert stale_ids(inputs, job, of_input(changed)) == stale


def test_recipe_ignores_what_only_takes_time() -> None:
    """Another delay or number of slots leaves the outputs as they are."""
    recipes = {
        recipe(INPUTS, WordCount(3, job), pool)
        for job in (CountSettings(), CountSettings(delay_s=9))
        for pool in (PoolSettings(), PoolSettings(task_slots_per_node=1))
    }

    assert len(recipes) == 1


@pytest.fixture
def counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The script of a word counter with one module."""
    (tmp_path / "word_counter").mkdir()
    (tmp_path / "word_counter" / "main.py").write_text("1")
    (tmp_path / "top_words.py").write_text("1")
    monkeypatch.setattr(program, "PROGRAMS", tmp_path)
    return tmp_path / "top_words.py"


def test_recipe_holds_what_changes_outputs(counter: Path) -> None:
    """Other words, packing, sets of inputs, blobs or modules make another recipe."""
    blob = BlobPlace("texts", "a.txt")
    recipes = [
        recipe(INPUTS, WordCount()),
        recipe(INPUTS, WordCount(4)),
        recipe(INPUTS, WordCount(settings=CountSettings(total=True))),
        recipe(INPUTS, WordCount(settings=CountSettings(files_per_batch_task=3))),
        recipe(INPUTS[1:], WordCount()),
        *(
            recipe([source], WordCount())
            for source in (
                InputFile("a.txt", 1, blob=blob, version="1"),
                InputFile("a.txt", 1, blob=blob, version="2"),
            )
        ),
    ]
    for path in (counter, counter.parent / "word_counter" / "main.py"):
        path.write_text("2")
        recipes.append(recipe(INPUTS, WordCount()))

    assert len(set(recipes)) == len(recipes)


def test_every_argument_of_an_own_program_is_in_the_recipe(tmp_path: Path) -> None:
    """Whatever they are called: they mean to it what it wants."""
    path = tmp_path / "program.py"
    path.write_text("1")
    recipes = [
        recipe(INPUTS, PythonProgram(str(path), arguments, suffix))
        for arguments in ((), ("--delay", "1"), ("--delay", "2"))
        for suffix in (None, ".x")
    ]
    path.write_text("2")
    recipes.append(recipe(INPUTS, PythonProgram(str(path))))

    assert len(set(recipes)) == len(recipes)


def test_recipe_is_the_same_for_the_same_files(tmp_path: Path) -> None:
    """Where the files lie, and when they were written, is nothing to it."""
    recipes = set()
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text("text")
        inputs = find_inputs(WordCount(), [str(tmp_path / folder)])
        recipes.add(recipe(inputs, WordCount()))

    assert len(recipes) == 1

"""The numbers of a run that has not begun."""

from typing import Any
from uuid import UUID

import pytest

from flows.word_count.settings import CountSettings
from flows.word_count.workload import WordCount
from prefect_azure_batch.engine.plan import Plan, make_plan
from prefect_azure_batch.model.run import new_run
from prefect_azure_batch.model.tasks import BlobPlace, InputFile
from prefect_azure_batch.model.workload import Workload
from prefect_azure_batch.service.sas import CLOCK_SKEW
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings
from prefect_azure_batch.workloads.python_program import PythonProgram

MEBIBYTE = 1024**2
RUN = new_run(UUID(int=0xABC), 0, JobSettings(), CleanUpPolicy())
INPUTS = [
    InputFile("a.txt", 1000, "a.txt"),
    InputFile("b.txt", 500, blob=BlobPlace("texts", "b.txt")),
    InputFile("huge.txt", 3 * MEBIBYTE, "huge.txt"),
    InputFile("huge.gz", 2 * MEBIBYTE, "huge.gz", is_gzip=True),
]


def plan_of(pool: PoolSettings, job: CountSettings, inputs: list[InputFile] = INPUTS) -> Plan:
    """Return the plan of a run of the word counter."""
    return plan_of_work(WordCount(3, job), pool, job, inputs)


def plan_of_work(
    workload: Workload[Any], pool: PoolSettings, job: JobSettings, inputs: list[InputFile] = INPUTS
) -> Plan:
    """Return the plan of a run."""
    levels = workload.plan(RUN, inputs, pool)
    uploads = workload.uploads(RUN, inputs, levels[0])
    return make_plan(RUN, workload, pool, job, inputs, levels, uploads)


def test_batch_tasks_by_kind() -> None:
    """Files, parts and what adds up are kinds of their own; what could not be split is named."""
    plan = plan_of(PoolSettings(), CountSettings(split_bytes=MEBIBYTE, total=True))

    assert plan.batch_tasks == {
        "for one file each": 3,
        "for parts of files": 3,
        "that add up counts": 2,
    }
    assert plan.work == {"counted whole": "huge.gz, cannot be split: compressed"}


def test_bundles() -> None:
    """Many files in one batch task are a kind of their own."""
    files = [InputFile(f"{number}.txt", 1, f"{number}.txt") for number in range(10)]
    plan = plan_of(PoolSettings(), CountSettings(files_per_batch_task=5), files)

    assert plan.batch_tasks == {"for many files each": 2}


def test_only_files_of_this_machine_are_uploaded() -> None:
    """Blobs are counted as inputs, and not as bytes to upload."""
    plan = plan_of(PoolSettings(), CountSettings())

    assert (plan.num_inputs, plan.upload_blobs) == (4, 3)
    assert plan.input_bytes - plan.upload_bytes == 500


def test_deadlines() -> None:
    """SAS URLs hold until the run's deadline, give or take the clocks."""
    plan = plan_of(PoolSettings(), CountSettings())

    assert (plan.sas_until, plan.delete_after) == (RUN.deadline + CLOCK_SKEW, RUN.delete_after)


@pytest.mark.parametrize(
    ("pool", "price"),
    [
        (PoolSettings(dedicated_nodes=3), None),
        (PoolSettings(dedicated_nodes=3, spot_nodes=1, node_price_per_hour=0.5), 4.0),
        (PoolSettings(node_price_per_hour=0), 0.0),
        (PoolSettings(max_nodes=20, autoscale_formula="1", node_price_per_hour=0.5), 20.0),
        (PoolSettings(existing_pool_id="mine", node_price_per_hour=0.5), None),
    ],
)
def test_highest_price(pool: PoolSettings, price: float | None) -> None:
    """All nodes until the job's limit; none without a price, or for nodes that are there anyway."""
    assert plan_of(pool, CountSettings(max_wall_clock_time_s=7200)).highest_price == price


def test_lines_and_table() -> None:
    """Every number is in the text, and there is no line without one."""
    plan = plan_of(PoolSettings(dedicated_nodes=2, node_price_per_hour=1.5), CountSettings())

    text = "\n".join(plan.lines())
    assert "2 dedicated and 0 spot nodes, standard_d2s_v5" in text
    assert "batch tasks: 4: 4 for one file each" in text
    assert "price of the nodes: 6.00 at most" in text
    assert "counted whole" not in text
    assert len(plan.markdown().splitlines()) == len(plan.lines()) + 2


def test_own_program_is_shown_as_it_is_called() -> None:
    """The plan of a program of the user's own shows its arguments; the word counter's has none."""
    own = PythonProgram("folder/mine.py", ("--level", "a b"))

    plan = plan_of_work(own, PoolSettings(), JobSettings())

    assert dict(plan.rows())["program"] == "mine.py --level 'a b' INPUT OUTPUT"
    assert "program" not in dict(plan_of(PoolSettings(), CountSettings()).rows())

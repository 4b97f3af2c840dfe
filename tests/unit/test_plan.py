"""The numbers of a run that has not begun."""

from uuid import UUID

import pytest

from flows.word_count.merging import plan_levels
from flows.word_count.packing import plan_batch_tasks
from prefect_azure_batch.engine.plan import Plan, make_plan
from prefect_azure_batch.model.run import new_run
from prefect_azure_batch.model.tasks import BlobPlace, InputFile
from prefect_azure_batch.service.sas import CLOCK_SKEW
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings
from prefect_azure_batch.staging.archives import uploads_of

MEBIBYTE = 1024**2
RUN = new_run(UUID(int=0xABC), 0, JobSettings(), CleanUpPolicy())
INPUTS = [
    InputFile("a.txt", 1000, "a.txt"),
    InputFile("b.txt", 500, blob=BlobPlace("texts", "b.txt")),
    InputFile("huge.txt", 3 * MEBIBYTE, "huge.txt"),
    InputFile("huge.gz", 2 * MEBIBYTE, "huge.gz", is_gzip=True),
]


def plan_of(pool: PoolSettings, job: JobSettings, inputs: list[InputFile] = INPUTS) -> Plan:
    """Return the plan of a run."""
    planned = plan_batch_tasks(RUN, inputs, 3, job, pool)
    levels = plan_levels(RUN, planned, 3, wants_total=job.total)
    uploads = uploads_of(RUN, [], inputs, planned)
    return make_plan(RUN, pool, job, inputs, levels, uploads)


def test_batch_tasks_by_kind() -> None:
    """Files, parts and what adds up are told apart, and what could not be split is named."""
    plan = plan_of(PoolSettings(), JobSettings(split_bytes=MEBIBYTE, total=True))

    assert plan.batch_tasks == {
        "for one file each": 3,
        "for parts of files": 3,
        "that add up counts": 2,
    }
    assert plan.unsplit == ("huge.gz",)


def test_bundles() -> None:
    """Many files in one batch task are a kind of their own."""
    files = [InputFile(f"{number}.txt", 1, f"{number}.txt") for number in range(10)]
    plan = plan_of(PoolSettings(), JobSettings(files_per_batch_task=5), files)

    assert plan.batch_tasks == {"for many files each": 2}


def test_only_files_of_this_machine_are_uploaded() -> None:
    """Blobs are counted as inputs, and not as bytes to upload."""
    plan = plan_of(PoolSettings(), JobSettings())

    assert (plan.num_inputs, plan.upload_blobs) == (4, 3)
    assert plan.input_bytes - plan.upload_bytes == 500


def test_deadlines() -> None:
    """SAS URLs hold until the run's deadline, give or take the clocks."""
    plan = plan_of(PoolSettings(), JobSettings())

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
    assert plan_of(pool, JobSettings(max_wall_clock_time_s=7200)).highest_price == price


def test_told_in_lines_and_as_a_table() -> None:
    """Every number stands in the text, and no line for what there is none of."""
    plan = plan_of(PoolSettings(dedicated_nodes=2, node_price_per_hour=1.5), JobSettings())

    text = "\n".join(plan.lines())
    assert "2 dedicated and 0 spot nodes, standard_d2s_v5" in text
    assert "batch tasks: 4: 4 for one file each" in text
    assert "price of the nodes: 6.00 at most" in text
    assert "counted whole" not in text
    assert len(plan.markdown().splitlines()) == len(plan.lines()) + 2


def test_own_program_is_told_as_it_is_called() -> None:
    """The plan of a program of the user's own shows its arguments; the word counter's has none."""
    own = JobSettings(program="folder/mine.py", program_arguments=("--level", "a b"))

    assert plan_of(PoolSettings(), own).program == "mine.py --level 'a b' INPUT OUTPUT"
    assert "program" not in dict(plan_of(PoolSettings(), JobSettings()).rows())

"""A run that succeeds, one that fails, and its continuation, on a real account."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flows.top_words import top_words
from prefect_azure_batch.errors import BatchTasksFailed
from prefect_azure_batch.janitor import Report, janitor
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.settings import PoolSettings
from tests.azure.conftest import left_of, runs
from tests.pipeline.flows.test_top_words import SAMPLES, count_words

# Three pools one after the other, and some minutes for each of their nodes.
pytestmark = [pytest.mark.azure, pytest.mark.timeout(5400)]

TEXTS = {"bad.txt": "bad", "good.txt": "good"}
# The first attempt fails for one input; the second would, if it did the other one again.
COPYING = """
import os, shutil, sys
attempt = os.environ["AZ_BATCH_JOB_ID"].rpartition("-")[2]
if ("bad.txt" if attempt == "1" else "good.txt") in sys.argv[1]:
    sys.exit(f"attempt {attempt} refuses")
shutil.copyfile(*sys.argv[1:])
"""


@dataclass(frozen=True)
class Failed:
    """What was seen of a run right after it had failed.

    Attributes:
        run: with the names of all its attempts.
        error: what it said.
        report: the failure report in the output folder.
        left: the kinds of what it left.
        seen: the janitor's report of the whole account.
    """

    run: Run
    error: str
    report: str
    left: list[str]
    seen: Report


@pytest.fixture(scope="module")
def parameters(folder: Path, pool: PoolSettings) -> dict[str, Any]:
    """A run whose first attempt fails for one of two inputs."""
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    program = folder / "program.py"
    program.write_text(COPYING)
    job = {"program": str(program), "max_task_retry_count": 0}
    return {"inputs": list(TEXTS), "output_dir": "results", "pool": pool, "job": job}


@pytest.fixture(scope="module")
def failed(parameters: dict[str, Any], folder: Path, services: Services) -> Failed:
    """That run, failed; afterwards it may be continued."""
    with pytest.raises(BatchTasksFailed) as raised:
        top_words(**parameters)
    run, *_ = runs()
    seen = janitor(dry_run=True)
    report = (folder / "results" / "failures.md").read_text()
    return Failed(run, str(raised.value), report, left_of(services, run), seen)


@pytest.fixture
def left(services: Services) -> Callable[[Run], list[str]]:
    """Tell the kinds of what is left of a run."""
    return lambda run: left_of(services, run)


def test_plan(
    folder: Path,  # noqa: ARG001 - the working directory
    pool: PoolSettings,
    left: Callable[[Run], list[str]],
) -> None:
    """A plan finds account, image and inputs good, and creates nothing."""
    result = top_words([str(path) for path in SAMPLES], pool=pool, plan_only=True)

    assert result.plan["batch tasks"] == "3: 3 for one file each"
    assert left(runs()[0]) == []


def test_tutorial(folder: Path, pool: PoolSettings, left: Callable[[Run], list[str]]) -> None:
    """The words of the samples are right, their outputs are here, and nothing is left of the run.

    They are those that another counter finds.
    """
    result = top_words([str(path) for path in SAMPLES], 10, "samples", pool=pool)

    assert result.words == {path.name: count_words(path, 10) for path in SAMPLES}
    outputs = {path.name for path in (folder / "samples").glob("*_OUTPUT.txt")}
    assert outputs == {f"{path.stem}_OUTPUT.txt" for path in SAMPLES}
    assert left(runs()[0]) == []


def test_failure_is_reported(failed: Failed) -> None:
    """Error and report name the input, its exit code and what its program said."""
    for text in (failed.error, failed.report):
        assert "bad.txt" in text
        assert "exit code 1" in text
        assert "attempt 1 refuses" in text
    assert "good.txt" not in failed.report


def test_failure_keeps_evidence_and_no_pool(failed: Failed) -> None:
    """What costs by the hour is gone; what it can be continued from is there."""
    assert failed.left == ["container", "container", "container", "job"]


def test_janitor_leaves_evidence_alone(failed: Failed) -> None:
    """A dry run of the janitor sees the failed run, and would leave it alone."""
    row = next(row for row in failed.seen.rows if row["run"] == failed.run.name)

    assert (row["verdict"], row["done"]) == ("kept", "left alone")
    assert row["nodes"] == 0


def test_resume(
    parameters: dict[str, Any], failed: Failed, left: Callable[[Run], list[str]]
) -> None:
    """Continuing it does what failed and nothing else, and leaves nothing."""
    result = top_words(**parameters, resume=failed.run.name)

    made = {name: Path(output.path).read_text() for name, output in result.outputs.items()}
    assert made == TEXTS
    assert left(failed.run) == []

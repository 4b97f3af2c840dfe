"""Limits in time: what ends for one names the setting."""

from pathlib import Path

import pytest

from flows.top_words import top_words
from flows.word_count.settings import CountSettings
from prefect_azure_batch.errors import (
    BatchTasksFailed,
    JobEnded,
    NodesNotReady,
    NothingRuns,
)
from prefect_azure_batch.settings import PoolSettings

pytestmark = pytest.mark.usefixtures("prefect_harness", "accounts", "only_evidence_left")

ONCE = CountSettings(poll_interval_s=0.3, max_task_retry_count=0)
FOREVER = "sleep 600"


@pytest.fixture(autouse=True)
def _input(accounts: object, tmp_path: Path) -> None:  # noqa: ARG001 - the working directory
    (tmp_path / "a.txt").write_text("word")


def limited(**settings: object) -> CountSettings:
    """Return settings with limits that are over soon."""
    return ONCE.model_copy(update=settings)


def test_batch_task_that_takes_too_long(tmp_path: Path) -> None:
    """One that was killed after its limit says so, with the limit and its setting."""
    job = limited(batch_task_max_wall_clock_time_s=1, delay_s=600.0)

    with pytest.raises(
        BatchTasksFailed,
        match=r"killed after 1 s: raise job\.batch_task_max_wall_clock_time_s",
    ):
        top_words(["a.txt"], job=job)

    report = (tmp_path / "results" / "failures.csv").read_text()
    assert "job.batch_task_max_wall_clock_time_s" in report


@pytest.mark.answers
def test_job_that_takes_too_long() -> None:
    """What ended with a job that ran out of time names the job's limit."""
    job = limited(max_wall_clock_time_s=4, delay_s=600.0)

    with pytest.raises((BatchTasksFailed, JobEnded), match=r"job\.max_wall_clock_time_s \(4 s\)"):
        top_words(["a.txt"], job=job)


@pytest.mark.answers
def test_preparation_that_takes_too_long() -> None:
    """A job preparation that was killed names the limit that it shares with batch tasks."""
    job = limited(preparation_command=FOREVER, batch_task_max_wall_clock_time_s=1)

    with pytest.raises(NothingRuns, match=r"job\.batch_task_max_wall_clock_time_s \(1 s\)"):
        top_words(["a.txt"], job=job)


@pytest.mark.answers
def test_start_task_that_takes_too_long() -> None:
    """A start task that still runs when the nodes should be ready is named as a cause."""
    pool = PoolSettings(start_task_command=FOREVER, allocation_timeout_s=2)

    with pytest.raises(NodesNotReady, match=r"pool\.start_task_command"):
        top_words(["a.txt"], pool=pool, job=ONCE)

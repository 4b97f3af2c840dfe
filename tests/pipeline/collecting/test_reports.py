"""What people get of a run: results, and what failed, as files and in Prefect's UI."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    TaskRunFilter,
    TaskRunFilterName,
)

from flows.top_words import top_words
from flows.word_count.settings import CountSettings
from prefect_azure_batch.errors import BatchTaskError, BatchTasksFailed, PoolError, ServiceError
from prefect_azure_batch.running.progress import Progress, on_progress
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.settings import PoolSettings
from tests.support.processes import wait_until

QUICK = CountSettings(poll_interval_s=0.3, max_task_retry_count=0)

pytestmark = pytest.mark.usefixtures("prefect_harness", "accounts")


def newest_artifact(key: str) -> str:
    """Return the data of the newest artifact of a key."""
    with get_client(sync_client=True) as client:
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
        found = client.read_artifacts(artifact_filter=wanted)
    return str(max(found, key=lambda artifact: str(artifact.created)).data)


def task_run(name: str) -> Any:
    """Return the task run of a name that has ended; its server learns of it a moment later."""
    with get_client(sync_client=True) as client:
        wanted = TaskRunFilter(name=TaskRunFilterName(any_=[name]))
        ended: list[Any] = []

        def has_ended() -> bool:
            runs = client.read_task_runs(task_run_filter=wanted)
            ended[:] = [run for run in runs if run.state and run.state.is_final()]
            return bool(ended)

        wait_until(has_ended, timeout_s=30)
    return ended[0]


@pytest.mark.usefixtures("nothing_left")
def test_results(tmp_path: Path) -> None:
    """Words, total, times and cost are in files and on the page; each batch task is a task run."""
    (tmp_path / "a.txt").write_text("word word")
    (tmp_path / "fresh.txt").write_text("word new")
    pool = PoolSettings(node_price_per_hour=36)

    top_words(["a.txt", "fresh.txt"], pool=pool, job=QUICK.model_copy(update={"total": True}))

    result = json.loads((tmp_path / "results" / "results.json").read_text())
    assert result["inputs"] == {
        "a.txt": {"source": "a.txt", "words": [["word", 2]]},
        "fresh.txt": {"source": "fresh.txt", "words": [["new", 1], ["word", 1]]},
    }
    assert result["total"] == [["word", 3], ["new", 1]]
    assert set(result["phases_s"]) >= {"preflight", "upload", "nodes and batch tasks", "download"}
    assert sum(result["phases_s"].values()) == pytest.approx(result["elapsed_s"], abs=0.01)
    assert result["nodes"]["num_nodes"] == 1
    assert result["nodes"]["cost"] == pytest.approx(result["nodes"]["node_seconds"] / 100)
    with (tmp_path / "results" / "results.csv").open(newline="") as file:
        words = [row["word"] for row in csv.DictReader(file)]
    assert words == ["word", "new", "word", "new", "word"]
    first, *_ = json.loads(newest_artifact("top-words"))
    cells = {"word": "word", "count": 3, "bar": "█" * 20, "source": ""}
    assert first == {"input": "(all inputs)", **cells}
    assert "node-seconds" in newest_artifact("summary")
    assert task_run("topNtask1: fresh.txt").state.is_completed()
    assert task_run("total-1-0: a.txt, fresh.txt").state.is_completed()


@pytest.mark.usefixtures("only_evidence_left")
def test_failures_before_the_end_of_the_job(tmp_path: Path) -> None:
    """What failed before the job ran out of time is reported too."""
    (tmp_path / "bad.txt").write_text("bad")
    (tmp_path / "slow.txt").write_text("slow")
    program = tmp_path / "program.py"
    program.write_text("import sys, time\nif 'bad' in sys.argv[1]: sys.exit(9)\ntime.sleep(600)\n")
    job = QUICK.model_copy(update={"program": str(program), "max_wall_clock_time_s": 4})

    with pytest.raises(BatchTaskError):
        top_words(["bad.txt", "slow.txt"], job=job)

    assert "exit code 9" in (tmp_path / "results" / "failures.md").read_text()


@pytest.mark.usefixtures("only_evidence_left")
def test_failures_before_the_end_of_the_pool(services: Services, tmp_path: Path) -> None:
    """What failed before the pool went away is reported too."""
    (tmp_path / "bad.txt").write_text("bad")
    (tmp_path / "slow.txt").write_text("slow")
    program = tmp_path / "program.py"
    program.write_text("import sys, time\nif 'bad' in sys.argv[1]: sys.exit(9)\ntime.sleep(600)\n")
    job = QUICK.model_copy(update={"program": str(program), "max_task_retry_count": 0})
    pools: set[str] = set()

    def delete_pool(progress: Progress) -> None:
        """Delete the pool, once, when a batch task has failed."""
        if progress.failed and not pools:
            pools.update(pool.id for pool in services.batch.list_pools())
            services.batch.begin_delete_pool(*pools, polling_interval=60)

    token = on_progress.set(delete_pool)
    try:
        with pytest.raises((PoolError, ServiceError)) as raised:
            top_words(["bad.txt", "slow.txt"], job=job)
    finally:
        on_progress.reset(token)

    assert "exit code 9" in (tmp_path / "results" / "failures.md").read_text()
    assert any("failed before" in note for note in raised.value.__notes__)


@pytest.mark.usefixtures("only_evidence_left")
def test_bad_input_in_a_bundle(tmp_path: Path) -> None:
    """The other inputs have results; the bad one is reported with its own exit code and reason."""
    (tmp_path / "good.txt").write_text("good")
    (tmp_path / "bad|name.txt").write_bytes(b"text " * 300_000 + b"\0")
    job = QUICK.model_copy(update={"files_per_batch_task": 2})

    with pytest.raises(BatchTasksFailed, match=r"input 'bad\|name\.txt'.*exit code 3.*NUL byte"):
        top_words(["good.txt", "bad|name.txt"], job=job)

    folder = tmp_path / "results"
    assert "good\t1" in (folder / "good_OUTPUT.txt").read_text()
    assert not (folder / "bad|name_OUTPUT.txt").exists()
    report = (folder / "failures.md").read_text()
    assert report == newest_artifact("failures")
    assert "'bad\\|name.txt'" in report
    assert "1 of 2 inputs failed" in report
    with (folder / "failures.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["input"], row["batch_task"], row["exit_code"]) == ("bad|name.txt", "bundle0", "3")
    assert task_run("bundle0: good.txt, bad|name.txt").state.is_failed()

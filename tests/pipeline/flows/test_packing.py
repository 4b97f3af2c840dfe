"""Many files in one batch task, and one file in many: the words are the same."""

from pathlib import Path

import pytest

from flows.top_words import top_words
from flows.word_count.settings import CountSettings
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.settings import CleanUpPolicy, Policy
from tests.pipeline.engine.test_preflight import contents_and_removal

pytestmark = pytest.mark.usefixtures("prefect_harness", "nothing_left")

QUICK = CountSettings(poll_interval_s=0.3)


def test_bundles_find_the_same_words(tmp_path: Path) -> None:
    """Each file has its own result, as if it had a batch task of its own."""
    folder = tmp_path / "in"
    folder.mkdir()
    names = ["a b.txt", "it's.txt", "žluťoučký 😀.txt", "-n.txt", "100%.txt", "empty.txt"]
    for number, name in enumerate(names):
        (folder / name).write_text(f"word{number} same " * number, "utf-8")

    found = [
        top_words([str(folder)], 2, f"out{job.files_per_batch_task}", job=job).words
        for job in (QUICK.model_copy(update={"files_per_batch_task": 5}), QUICK)
    ]

    assert found[0] == found[1]
    assert len(found[0]) == 6
    assert {path.name for path in Path("out5").glob("*_OUTPUT*")} == {
        path.name for path in Path("out1").glob("*_OUTPUT*")
    }


def test_parts_leave_their_counts(tmp_path: Path, services: Services) -> None:
    """Every part of a large file uploads all its counts, for those that add them up."""
    (tmp_path / "large.txt").write_text("word " * 500_000)
    job = QUICK.model_copy(update={"split_bytes": 1024**2})

    top_words(
        [str(tmp_path / "large.txt")], 1, job=job, clean_up=CleanUpPolicy(containers=Policy.NEVER)
    )

    assert {f"topNtask0-part{number}.counts.gz" for number in range(3)} <= {
        *contents_and_removal(services, "-output")
    }

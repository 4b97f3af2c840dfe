"""What Prefect's pages show of runs, in a browser (`make test-browser`)."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.pipeline.pages import ENDED, Pages, open_window, start_run, wait_for_state
from tests.support.pipeline.prefect_server import PrefectServer, wait_for

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("nothing_left"),
]

QUICK = {"max_task_retry_count": 0, "poll_interval_s": 0.5}
ID = re.compile("[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}")


@pytest.fixture(scope="module")
def completed(deployed: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run of the deployment that counted the three texts."""
    run = start_run(deployed, "top-words/local", output_dir=str(tmp_path_factory.mktemp("out")))
    return wait_for_state(deployed, run, *ENDED)


def fail(server: PrefectServer, folder: Path, **clean_up: str) -> Any:
    """Return a run of the deployment of which one input is not text, once it has failed."""
    (folder / "broken.txt").write_bytes(b"text " * 300_000 + b"\0")
    run = start_run(
        server,
        "top-words/local",
        inputs=["data/*.txt", str(folder / "broken.txt")],
        output_dir=str(folder / "out"),
        job=QUICK,
        clean_up=clean_up,
    )
    return wait_for_state(server, run, *ENDED)


@pytest.fixture(scope="module")
def failed(deployed: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run of the deployment of which one of four inputs failed; nothing of it is kept."""
    return fail(deployed, tmp_path_factory.mktemp("failed"), containers="always", job="always")


@pytest.fixture
def pages(deployed: PrefectServer) -> Iterator[Pages]:
    """A browser's window."""
    with open_window(deployed) as window:
        yield window


def test_run(pages: Pages, completed: Any) -> None:
    """The page of a run says by name what it counts, how it ended, and what it logged."""
    pages.open_run(completed, "Completed", "Running 1 deployment pull step")

    assert completed["name"] == "top 3 words of data/*.txt"
    pages.picture("run")


def test_task_runs(pages: Pages, completed: Any) -> None:
    """Each step and each batch task is a task run with a name in words: what is done, to what."""
    pages.open_run(completed, "Completed")
    pages.tab("Task Runs")

    pages.see("publish results", "topNtask0: taskdata1.txt", "wait for batch tasks", "create pool")
    runs = pages.server.post(
        "/task_runs/filter", {"flow_runs": {"id": {"any_": [completed["id"]]}}}
    )
    assert [run["name"] for run in runs if ID.search(run["name"])] == []


def test_clean_up_is_named_after_the_run(pages: Pages, completed: Any) -> None:
    """The subflow says after which run it cleans up, by name."""
    pages.open_run(completed, "Completed")
    pages.tab("Subflow Runs")

    pages.see("clean up after top 3 words of data/*.txt")


def test_artifacts_are_described(pages: Pages, completed: Any) -> None:
    """Each artifact of a run says on its card what it is."""
    pages.open_run(completed, "Completed")
    pages.tab("Artifacts")

    pages.see("summary", "top-words", "plan", "3 of 3 batch tasks completed")
    assert pages.page.get_by_text("No description").count() == 0


def test_table_of_words(pages: Pages, completed: Any) -> None:
    """The table has input, word, count, and a bar for each."""
    pages.open_artifact(completed, "top-words", "taskdata1.txt", "count", "█" * 20)


def test_summary(pages: Pages, completed: Any) -> None:
    """The summary has the words with bars, and the seconds of each phase."""
    pages.open_artifact(completed, "summary", "Words of 3 input(s)", "█" * 20, "Seconds", "upload")

    pages.picture("summary")


def test_progress(pages: Pages, completed: Any) -> None:
    """The progress is shown in percent, and in batch tasks and nodes."""
    pages.open_artifact(
        completed, "top-words-progress", "Progress: 100%", "3 of 3 batch tasks completed; nodes:"
    )


def test_events(pages: Pages, completed: Any) -> None:
    """The feed offers the service's events by name, and says of each what it happened to."""
    option = pages.page.get_by_role("option", name="azure-batch.*", exact=True)

    def is_offered() -> bool:
        """Tell whether the page knows of them; it shows what happened up to a minute ago."""
        pages.open("events", "Event Feed")
        pages.page.get_by_label("Filter by event type").click()
        pages.page.get_by_role("option", name="prefect.*", exact=True).wait_for()
        return bool(option.count())

    wait_for(is_offered, timeout_s=120)
    option.click()
    pages.page.keyboard.press("Escape")

    pages.see("Azure Batch Task Completed", "batch task topNtask", completed["name"])
    pages.picture("events")


def test_failure_report(pages: Pages, failed: Any) -> None:
    """The report shows which input failed, the exit code and the reason, within its column."""
    pages.open_artifact(
        failed, "failures", "1 batch task(s) failed", "'broken.txt'", "exit code 3", "NUL byte"
    )

    # The column beside it names the folder of this test.
    pages.picture("failures", pages.page.get_by_role("tabpanel"))


def test_failed_run(pages: Pages, failed: Any) -> None:
    """The details of a failed run say how many batch tasks failed, and why."""
    pages.open_run(failed, "Failed")
    pages.tab("Details")

    pages.see("1 batch task(s) failed")


def test_runs(pages: Pages, completed: Any, failed: Any) -> None:
    """The list of runs tells runs by their names, and none by an id."""
    pages.open("runs", completed["name"], failed["name"])

    names = pages.page.get_by_role("link", name="top 3 words").all_inner_texts()
    assert names
    assert [name for name in names if ID.search(name)] == []


@pytest.mark.usefixtures("nothing_left", "only_evidence_left")
def test_report_of_the_janitor(pages: Pages, deployed: PrefectServer, tmp_path: Path) -> None:
    """The janitor's table says first what becomes of a run, and above it what is billed."""
    fail(deployed, tmp_path)
    asked = start_run(deployed, "janitor/local", dry_run=True)
    run = wait_for_state(deployed, asked, "COMPLETED")

    pages.open_artifact(run, "janitor", "nodes billed when it looked: 0", "kept", "left alone")

    table = pages.page.get_by_role("table")
    seen = {head.inner_text() for head in table.get_by_role("columnheader").all()[:5]}
    assert {"verdict", "done", "nodes"} <= seen


def test_nothing_comes_from_the_network(pages: Pages, completed: Any) -> None:
    """A run's page is whole without the internet; only the counting of visitors asks for it."""
    pages.open_run(completed, "Completed", "Running 1 deployment pull step")

    wait_for(lambda: pages.page.locator("canvas").count(), timeout_s=30)
    assert pages.refused <= {"sr-client-cfg.amplitude.com"}

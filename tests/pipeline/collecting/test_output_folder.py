"""The output folder of real runs: one at a time, each reads what it wrote, and names with words."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prefect import flow

from flows.top_words import top_words
from flows.word_count.result import Result
from flows.word_count.settings import CountSettings
from flows.word_count.workload import WordCount
from local_azure.stack import LocalAzure
from prefect_azure_batch import (
    CleanUpPolicy,
    InputFile,
    JobSettings,
    Level,
    PipelineError,
    Policy,
    batch_map,
    hooks,
    run_workload,
)
from prefect_azure_batch.collecting.output_folder import LOCK_NAME
from prefect_azure_batch.errors import FolderInUse, OutputReplaced
from prefect_azure_batch.model.output_record import RECORD_NAME
from tests.pipeline.command_line.test_batch_map import COMMAND
from tests.pipeline.command_line.test_command_line import run
from tests.support.pipeline.prefect_server import PrefectServer, wait_for

NOTHING_KEPT = CleanUpPolicy(containers=Policy.ALWAYS, job=Policy.ALWAYS)
QUICK = JobSettings(poll_interval_s=0.3, max_task_retry_count=0)
COUNT = CountSettings(poll_interval_s=0.3)
# Waits until somebody lets it go.
PATIENT = """
import pathlib, shutil, sys, time
folder = pathlib.Path({folder!r})
(folder / "began").touch()
deadline = time.monotonic() + 60
while not (folder / "go").exists() and time.monotonic() < deadline:
    time.sleep(0.05)
shutil.copy(sys.argv[1], sys.argv[2])
"""

in_process = pytest.mark.usefixtures("prefect_harness", "accounts", "nothing_left")


@pytest.fixture
def patient(tmp_path: Path) -> str:
    """A program that waits for the file `go`, and two inputs."""
    (tmp_path / "patient.py").write_text(PATIENT.format(folder=str(tmp_path)))
    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / "b.txt").write_text("two\n")
    return "patient.py"


@contextmanager
def at_work(folder: Path, patient: str, output_dir: str) -> Iterator[None]:
    """Have a run at work on `a.txt` meanwhile; afterwards it must succeed."""
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(batch_map, patient, ["a.txt"], output_dir=output_dir, job=QUICK)
        try:
            wait_for(lambda: (folder / "began").exists() or first.done(), timeout_s=60)
            yield
        finally:
            (folder / "go").touch()
        (row,) = first.result()
    assert Path(row.path).read_text() == "one\n"


@in_process
def test_second_run_is_refused(tmp_path: Path, patient: str) -> None:
    """While a run is at work in a folder, another one into it is an error that says the way out."""
    with (
        at_work(tmp_path, patient, "out"),
        pytest.raises(
            FolderInUse, match=r"in use by run tw-[0-9a-f]{32}, .*--output-dir .*\{run\}"
        ),
    ):
        batch_map(patient, ["b.txt"], output_dir="out", job=QUICK)

    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"a_OUTPUT.txt", "results.json", "results.csv", RECORD_NAME}


@in_process
def test_runs_side_by_side(tmp_path: Path, patient: str) -> None:
    """By `{run}` each has a folder of its own, and its results are there alone."""
    with at_work(tmp_path, patient, "out/{run}"):
        (tmp_path / "go").touch()
        (row,) = batch_map(patient, ["b.txt"], output_dir="out/{run}", job=QUICK)

    assert Path(row.path).read_text() == "two\n"
    folders = list((tmp_path / "out").iterdir())
    assert len(folders) == 2
    for folder in folders:
        run_id = json.loads((folder / "results.json").read_text())["run_id"]
        assert folder.name == f"tw-{run_id}"


@in_process
def test_words_of_a_folder(tmp_path: Path) -> None:
    """The flow run's name, made safe, and the day of the start in UTC."""
    (tmp_path / "a.txt").write_text("one")
    named = top_words.with_options(flow_run_name="../night: one")
    before = datetime.now(UTC)

    named(["a.txt"], 1, "out/{date}/{name}", job=COUNT)

    (folder,) = (tmp_path / "out").glob("*/*")
    assert folder.name == "_._night_ one"
    assert folder.parent.name in {f"{now:%Y-%m-%d}" for now in (before, datetime.now(UTC))}
    assert (folder / "a_OUTPUT.txt").is_file()


@in_process
def test_resumed_run_has_the_same_folder(tmp_path: Path) -> None:
    """What resumes a run, under whatever name and on whatever day, has the folder of that run."""
    (tmp_path / "a.txt").write_text("one\n")
    program = tmp_path / "program.py"
    program.write_text(
        f"import os, shutil, sys\nos.path.exists({str(tmp_path / 'fixed')!r}) or sys.exit('no')\n"
        "shutil.copy(sys.argv[1], sys.argv[2])\n"
    )
    output_dir = "out/{date}/{name}/{run}"
    first = batch_map.flow.with_options(flow_run_name="first")
    with pytest.raises(PipelineError) as raised:
        first("program.py", ["a.txt"], output_dir, job=QUICK)
    name = "".join(raised.value.__notes__).partition("resume=")[2].split()[0]
    (tmp_path / "fixed").touch()

    (row,) = batch_map("program.py", ["a.txt"], output_dir=output_dir, job=QUICK, resume=name)

    assert re.fullmatch(rf"out/\d{{4}}-\d\d-\d\d/first/{name}", _below(tmp_path, row.path))
    assert len(list((tmp_path / "out").glob("*/*/*"))) == 1


def _below(folder: Path, path: str) -> str:
    return str(Path(path).parent.relative_to(folder))


@dataclass(frozen=True)
class Meddled(WordCount):
    """Has somebody else's words in its folder when it looks there."""

    victim: str = ""

    def result(self, folder: Path, inputs: Sequence[InputFile], levels: Sequence[Level]) -> Result:
        """Let them be written just now."""
        path = folder / self.victim
        theirs = path.read_text().replace("one", "1ne").replace("two", "2wo")
        path.unlink()
        path.write_text(theirs)
        return super().result(folder, inputs, levels)


@pytest.fixture
def texts(tmp_path: Path) -> CountSettings:
    """A text that is counted in parts, and two that are counted together; added up as well."""
    (tmp_path / "a.txt").write_text("one " * 300_000)
    (tmp_path / "b.txt").write_text("two")
    (tmp_path / "c.txt").write_text("two")
    job = {"split_bytes": 1024**2, "files_per_batch_task": 2, "total": True}
    return COUNT.model_copy(update=job)


@in_process
@pytest.mark.parametrize("victim", ["a_OUTPUT.txt", "b_OUTPUT.txt"])
def test_words_of_somebody_else_are_not_reported(texts: CountSettings, victim: str) -> None:
    """A run reads what it wrote itself, or fails, whether it was in parts or in a bundle."""

    @flow(**hooks)
    def meddled() -> Result:
        """Count."""
        return run_workload(Meddled(1, texts, victim), ["*.txt"], job=texts, clean_up=NOTHING_KEPT)

    with pytest.raises(OutputReplaced, match=rf"'{victim}' in output_dir .*/results'"):
        meddled()


@in_process
def test_outputs_of_an_earlier_run_are_replaced(tmp_path: Path, texts: CountSettings) -> None:
    """Bundles, parts and the total find what an earlier run left, and report nothing of it."""
    (tmp_path / "out").mkdir()
    for name in ("a_OUTPUT.txt", "b_OUTPUT.txt", "c_OUTPUT.txt", "all-inputs.txt"):
        (tmp_path / "out" / name).write_text("---\nnonsense\t7\n---\n")

    result = top_words(["*.txt"], 1, "out", job=texts)

    assert result.words == {
        "a.txt": [("one", 300_000)],
        "b.txt": [("two", 1)],
        "c.txt": [("two", 1)],
    }
    assert result.total == [("one", 300_000)]


@pytest.mark.usefixtures("nothing_left")
def test_second_command_is_refused_at_once(
    prefect_server: PrefectServer, accounts: LocalAzure, tmp_path: Path, patient: str
) -> None:
    """A command says it before any service starts; when the first one has ended, it works."""
    environment = prefect_server.environment | dict(accounts.environment)
    command = [sys.executable, *COMMAND, patient, "a.txt"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE) as first:
        wait_for(lambda: (tmp_path / "began").exists() or first.poll(), timeout_s=60)
        second = run(tmp_path, *COMMAND, patient, "b.txt", "--local", environment=environment)
        (tmp_path / "go").touch()
        assert first.wait(60) == 0

    assert second.returncode == 1
    assert re.match(r"error: output_dir '.*/results' is in use by run tw-", second.stderr)
    assert "ready in" not in second.stderr
    assert not (tmp_path / "results" / LOCK_NAME).exists()
    third = run(tmp_path, *COMMAND, patient, "b.txt", "--json", environment=environment)
    assert third.returncode == 0, third.stderr
    assert list(json.loads(third.stdout)["outputs"]) == ["b.txt"]

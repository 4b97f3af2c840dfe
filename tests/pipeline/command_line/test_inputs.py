"""Inputs as a user gives them: names, earlier results, what is left out, what is not a path."""

import csv
import json
import os
from pathlib import Path

import pytest

from flows.top_words import top_words
from flows.word_count.settings import CountSettings
from local_azure.stack import LocalAzure
from prefect_azure_batch import JobSettings, batch_map
from prefect_azure_batch.errors import BatchTasksFailed, ConfigurationError
from prefect_azure_batch.service.clients import Services
from tests.pipeline.collecting.test_reports import newest_artifact
from tests.pipeline.command_line.test_command_line import SCRIPT, run
from tests.support.paths import PROJECT
from tests.support.pipeline.prefect_server import PrefectServer

COPY = "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])"
QUICK = JobSettings(poll_interval_s=0.3, max_task_retry_count=0)

in_process = pytest.mark.usefixtures("prefect_harness", "accounts", "nothing_left")


def make_texts(folder: Path) -> None:
    """Leave two texts of one name, and beside them what is not text."""
    for name in ("a", "b"):
        (folder / "x" / name).mkdir(parents=True)
        (folder / "x" / name / "data.txt").write_text(f"{name} {name}")
    (folder / "x" / "u.txt").write_text("text", "utf-16")
    (folder / "x" / "itself.txt").symlink_to("itself.txt")


@pytest.mark.usefixtures("nothing_left")
def test_folders_are_kept_and_results_are_no_inputs(
    prefect_server: PrefectServer, accounts: LocalAzure, tmp_path: Path
) -> None:
    """The same glob twice counts the same files, in batch tasks of their own and in a bundle."""
    environment = prefect_server.environment | dict(accounts.environment)
    make_texts(tmp_path)
    command = (SCRIPT, "**/*.txt", "--output-dir", "x/results")

    first = run(tmp_path, *command, environment=environment)
    packed = ("--files-per-batch-task", "2", "--json")
    second = run(tmp_path, *command, *packed, environment=environment)

    assert first.returncode == 0, first.stderr
    assert "left out, 2: 'x/itself.txt' is a link that leads to no file" in " ".join(
        first.stdout.split()
    )
    assert second.returncode == 0, second.stderr
    found = json.loads(second.stdout)
    assert found["inputs"] == {
        f"x/{name}/data.txt": {"source": f"x/{name}/data.txt", "words": [[name, 2]]}
        for name in ("a", "b")
    }
    assert {item["source"]: item["reason"] for item in found["left_out"]}.items() >= {
        ("x/results/x/a/data_OUTPUT.txt", "is in the output folder of this run"),
        ("x/results/x/b/data_OUTPUT.txt", "is in the output folder of this run"),
    }
    results = tmp_path / "x" / "results"
    assert {str(path.relative_to(results)) for path in results.rglob("*.txt")} == {
        "x/a/data_OUTPUT.txt",
        "x/b/data_OUTPUT.txt",
    }
    with (results / "results.csv").open(newline="") as file:
        assert {row["source"] for row in csv.DictReader(file)} == set(found["inputs"])


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["x/a/data.txt", "x/b/data.txt"], "--root "),
        (["x/a", "x/u.txt"], "'x/u.txt' is binary"),
        (["x/a", "x/itself.txt"], "'x/itself.txt' is a link that leads to no file"),
        (["x/a", b"caf\xe9.txt"], r"'caf\xe9.txt' is not UTF-8"),
        (["x/a", "--output-dir", "az://out/x"], "output_dir 'az://out/x' looks like a URL"),
        (["x/a", "--output-dir", ""], "output_dir '' is not a path"),
        (["x/a", "--root", "abfss://c@a/x"], "root 'abfss://c@a/x' looks like a URL"),
        (["AZ://c/x"], "write az://container/prefix"),
        (["az:/c/x"], "write az://container/prefix"),
        (["file:///x/a"], "looks like a URL"),
        (["https://a.blob.core.windows.net/c/x?sig=SECRET"], "looks like a URL"),
        ([f"az://tw-{0:032}-output/"], "is a run's own"),
        (["x/a", "--program", "https://a/p.py"], "program 'https:/a/p.py' looks like a URL"),
        (["~nobody-here/x"], "'~nobody-here/x' matches no file"),
        (["~/none"], "/home-of-nobody/none' matches no file"),
    ],
)
def test_what_cannot_be_an_input_is_named_at_once(
    tmp_path: Path, arguments: list[str | bytes], shown: str
) -> None:
    """It is an error by name before anything starts, and nothing is made of it."""
    make_texts(tmp_path)
    environment = {"PYTHONPATH": str(PROJECT), "HOME": "/home-of-nobody"}
    given = [os.fsdecode(argument) for argument in arguments]

    done = run(tmp_path, SCRIPT, *given, environment=environment)

    assert done.returncode == 1
    assert shown in done.stderr
    assert "SECRET" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@in_process
def test_program_is_given_folders(tmp_path: Path, services: Services) -> None:
    """A program of one's own works in the input's folders, whatever blobs and files are called."""
    make_texts(tmp_path)
    (tmp_path / "copy.py").write_text(COPY)
    theirs = services.blobs.create_container("theirs")
    try:
        for name in ("d/e", "d/e/f", "d/uploaded/g.bin"):
            theirs.upload_blob(name, name.encode())
        rows = batch_map("./copy.py", ["x/?/*", "az://theirs/d/"], job=QUICK)
    finally:
        theirs.delete_container()

    found = {row.source: str(Path(row.path).relative_to(tmp_path / "results")) for row in rows}
    assert found == {
        "x/a/data.txt": "a/data_OUTPUT.txt",
        "x/b/data.txt": "b/data_OUTPUT.txt",
        "az://theirs/d/e": "e_OUTPUT",
        "az://theirs/d/e/f": "e/f_OUTPUT",
        "az://theirs/d/uploaded/g.bin": "uploaded/g_OUTPUT.bin",
    }
    assert [Path(row.path).read_text() for row in rows[:2]] == ["a a", "b b"]
    assert {row["source"] for row in json.loads(newest_artifact("outputs"))} == set(found)


@in_process
def test_bundle_of_blobs_keeps_folders(tmp_path: Path, services: Services) -> None:
    """Of a prefix copies of results are left out as of a folder, and what is not text."""
    theirs = services.blobs.create_container("theirs")
    try:
        for name in ("d/e", "d/e/f", "d/h_OUTPUT.txt", "d/out/total.txt"):
            theirs.upload_blob(name, "same same")
        theirs.upload_blob("d/out/.written-by-runs", b'"total.txt"\n')
        theirs.upload_blob("d/p.png", b"\x89PNG\0")
        theirs.upload_blob("d/h.txt", b"same")
        job = CountSettings(poll_interval_s=0.3, files_per_batch_task=3)
        result = top_words(["az://theirs/d/"], job=job)
    finally:
        theirs.delete_container()

    assert result.sources == {name: f"az://theirs/d/{name}" for name in ("e", "e/f", "h.txt")}
    assert {item.source: item.reason.split()[0:2] for item in result.left_out} == {
        "az://theirs/d/h_OUTPUT.txt": ["is", "called"],
        "az://theirs/d/out/total.txt": ["was", "written"],
        "az://theirs/d/p.png": ["is", "binary"],
    }
    assert (tmp_path / "results" / "e" / "f_OUTPUT").is_file()


@in_process
def test_outputs_of_one_name_are_refused(tmp_path: Path) -> None:
    """With one suffix for all, two inputs can have one output: that is said before anything."""
    (tmp_path / "copy.py").write_text(COPY)
    for name in ("a.txt", "a.csv"):
        (tmp_path / name).write_text(name)

    with pytest.raises(ConfigurationError, match=r"'a\.csv' and 'a\.txt' would have one output"):
        batch_map("copy.py", ["a.*"], output_suffix=".json")


@pytest.mark.usefixtures("prefect_harness", "accounts", "only_evidence_left")
def test_failures_say_where_inputs_are_from(tmp_path: Path) -> None:
    """Report and file of failures have the source of each input."""
    make_texts(tmp_path)
    (tmp_path / "fail.py").write_text("raise SystemExit(3)")

    with pytest.raises(BatchTasksFailed):
        batch_map("fail.py", [f"{tmp_path}/x/a"], job=QUICK)

    with (tmp_path / "results" / "failures.csv").open(newline="") as file:
        assert [row["source"] for row in csv.DictReader(file)] == [f"{tmp_path}/x/a/data.txt"]
    report = (tmp_path / "results" / "failures.md").read_text()
    assert f"{tmp_path}/x/a/data.txt" in report.replace("\\", "")

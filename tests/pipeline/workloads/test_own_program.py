"""A program of the user's own: staged, fanned out, watched, reported, resumed and cleaned up."""

import csv
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flows.top_words import top_words
from flows.word_count.result import Result
from flows.word_count.settings import CountSettings
from local_azure.stack import LocalAzure
from prefect_azure_batch.errors import BatchTasksFailed
from prefect_azure_batch.service.clients import Services
from tests.pipeline.collecting.test_reports import newest_artifact
from tests.pipeline.conftest import mark_for_children
from tests.support.paths import PROJECT
from tests.support.pipeline.prefect_server import PrefectServer
from tests.support.processes import Marked

SCRIPT = str(PROJECT / "flows" / "top_words.py")
LINE_STATS = str(PROJECT / "tasks_node" / "line_stats.py")
AWKWARD = ["", "a b", "it's", '"q"', "$HOME $(touch x)", "a\nb", "--", "-n", "\\", "žluť 😀"]
REPORTING = """
import json, os, pathlib, sys
everything = {"arguments": sys.argv[1:], "environment": dict(os.environ)}
for pid in (os.getpid(), os.getppid()):
    for name in ("cmdline", "environ"):
        everything[f"{pid} {name}"] = pathlib.Path(f"/proc/{pid}/{name}").read_bytes().decode()
pathlib.Path(sys.argv[-1]).write_text(json.dumps(everything))
"""
"""A program that writes down all that it is given."""

NOTING = """
import os, pathlib, sys
folder = pathlib.Path({folder!r})
with (folder / "done").open("a") as notes:
    print(os.environ["AZ_BATCH_TASK_ID"], file=notes)
if "bad" in sys.argv[-2] and not (folder / "fixed").exists():
    sys.exit(7)
pathlib.Path(sys.argv[-1]).write_text(" ".join(sys.argv[1:-2]))
"""
"""A program that fails for one input until it is fixed, and notes what it has done."""

in_process = pytest.mark.usefixtures("prefect_harness", "nothing_left")


def run(
    folder: Path, *arguments: str, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder to its end."""
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def own(source: str, **settings: Any) -> CountSettings:
    """Return settings for a program of this source in the working directory."""
    Path("mine.py").write_text(source)
    return CountSettings(program="mine.py", poll_interval_s=0.3, max_task_retry_count=0, **settings)


def contents(result: Result) -> dict[str, str]:
    """Return what is in the outputs, by input."""
    return {name: Path(output.path).read_text() for name, output in result.outputs.items()}


def test_example_on_this_machine(
    prefect_server: PrefectServer, marked: Marked, tmp_path: Path
) -> None:
    """With `--local` the example leaves its outputs and a table of them, and nothing else."""
    environment = prefect_server.environment | mark_for_children(marked) | {"COLUMNS": "300"}
    samples = [str(path) for path in sorted((PROJECT / "data").glob("*.txt"))]
    options = ["--program", LINE_STATS, "--arg=--matching", "--arg", "^T", "--output-suffix=.json"]

    done = run(tmp_path, *samples, *options, "--local", environment=environment)

    assert done.returncode == 0, done.stderr
    assert "taskdata1_OUTPUT.json" in done.stdout
    assert "3 inputs; " in done.stdout
    for sample in samples:
        text = Path(sample).read_bytes()
        found = json.loads((tmp_path / "results" / f"{Path(sample).stem}_OUTPUT.json").read_text())
        assert (found["bytes"], found["lines"]) == (len(text), len(text.splitlines()))
        assert found["matching"] == {"^T": sum(line[:1] == b"T" for line in text.splitlines())}
    with (tmp_path / "results" / "results.csv").open(newline="") as file:
        assert [row["input"] for row in csv.DictReader(file)] == [Path(x).name for x in samples]
    assert marked.none()


@pytest.mark.usefixtures("nothing_left")
def test_example_fails_and_is_resumed(
    prefect_server: PrefectServer, accounts: LocalAzure, tmp_path: Path
) -> None:
    """One bad input is reported with its stderr; fixed, it alone is done again by `--resume`."""
    environment = prefect_server.environment | dict(accounts.environment)
    for name, content in (("a", b"one\n"), ("bad", b"caf\xe9\n"), ("c", b"two\n")):
        (tmp_path / f"{name}.txt").write_bytes(content)
    command = ("a.txt", "bad.txt", "c.txt", "--program", LINE_STATS, "--output-suffix", ".json")

    failed = run(tmp_path, *command, environment=environment)
    report = (tmp_path / "results" / "failures.md").read_text()
    (tmp_path / "bad.txt").write_text("café\n", "utf-8")
    name = failed.stderr.partition("resume=")[2].split()[0]
    resumed = run(tmp_path, *command, "--resume", name, environment=environment)

    assert failed.returncode == 1
    assert "error: 1 batch task(s) failed:\ninput 'bad.txt': batch task task1" in failed.stderr
    assert "can't decode byte 0xe9" in failed.stderr
    assert "exit code 3" in report
    assert "| 'bad.txt' | task1 |" in report
    assert resumed.returncode == 0, resumed.stderr
    assert "2 batch tasks were done before" in resumed.stderr
    found = json.loads((tmp_path / "results" / "bad_OUTPUT.json").read_text("utf-8"))
    assert found["longest_line"] == "café"
    assert not (tmp_path / "results" / "failures.md").exists()


@in_process
def test_program_sees_no_sas(accounts: LocalAzure, tmp_path: Path) -> None:  # noqa: ARG001 - a fixture
    """Neither its arguments nor its environment, nor its shell's, hold a SAS; arguments are so."""
    (tmp_path / "a.txt").write_text("text")

    result = top_words(["a.txt"], job=own(REPORTING, program_arguments=tuple(AWKWARD)))

    given = contents(result)["a.txt"]
    assert json.loads(given)["arguments"] == [*AWKWARD, "input/a.txt", "output/a_OUTPUT.txt"]
    assert "AZ_BATCH_TASK_ID" in json.loads(given)["environment"]
    assert "sig=" not in given
    assert "TOP_WORDS" not in given


@in_process
def test_any_file_is_an_input(
    accounts: LocalAzure,  # noqa: ARG001 - a fixture
    services: Services,
    tmp_path: Path,
) -> None:
    """Bytes, awkward names and blobs: each comes to the program as it is."""
    copies = "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])"
    texts = {"a b[1].bin": b"\0\1", "it's $x*?.txt": b"", "-n.txt": b"n", "-m.csv": b"m"}
    (tmp_path / "files").mkdir()
    for name, content in texts.items():
        (tmp_path / "files" / name).write_bytes(content)
    theirs = services.blobs.create_container("theirs")
    try:
        theirs.upload_blob("folder/blob.bin", b"\0")
        inputs = ["files", "az://theirs/folder/"]
        result = top_words(inputs, job=own(copies, output_suffix=".copy"))
    finally:
        theirs.delete_container()

    made = {name: Path(output.path).read_bytes() for name, output in result.outputs.items()}
    assert made == texts | {"blob.bin": b"\0"}
    names = {Path(output.path).name for output in result.outputs.values()}
    assert names == {
        *("a b[1]_OUTPUT.copy", "it's $x*?_OUTPUT.copy", "blob_OUTPUT.copy"),
        *("-n_OUTPUT.copy", "-m_OUTPUT.copy"),
    }


@in_process
def test_outputs_are_a_table_in_the_ui(accounts: LocalAzure, tmp_path: Path) -> None:  # noqa: ARG001 - a fixture
    """The artifact `outputs` has one row per input, and the flow run is called by the program."""
    (tmp_path / "a.txt").write_text("text")

    top_words(["a.txt"], job=own("import sys; open(sys.argv[2], 'w').write('12')"))

    (row,) = json.loads(newest_artifact("outputs"))
    folder = str(tmp_path / "results")
    assert row == {"input": "a.txt", "output": "a_OUTPUT.txt", "bytes": 2, "folder": folder} | {
        "source": "a.txt"
    }
    assert "# Outputs of 1 input(s)" in newest_artifact("summary")


@in_process
@pytest.mark.parametrize(
    ("change", "runs", "output"),
    [
        ({}, {"task0": 1, "task1": 2}, "first"),
        ({"program_arguments": ("second",)}, {"task0": 2, "task1": 2}, "second"),
        ({"source": f"{NOTING}# another\n"}, {"task0": 2, "task1": 2}, "first"),
    ],
    ids=["nothing", "another argument", "another program"],
)
def test_what_another_program_makes_is_another_output(
    accounts: LocalAzure,  # noqa: ARG001 - a fixture
    tmp_path: Path,
    change: dict[str, Any],
    runs: dict[str, int],
    output: str,
) -> None:
    """Resumed with what determines the outputs unchanged, only what failed is run; else all is."""
    for name in ("a.txt", "bad.txt"):
        (tmp_path / name).touch()
    given: dict[str, Any] = {"source": NOTING, "program_arguments": ("first",)}

    def job(source: str, **settings: Any) -> CountSettings:
        """Return the settings."""
        return own(source.format(folder=str(tmp_path)), **settings)

    with pytest.raises(BatchTasksFailed, match="exit code 7") as raised:
        top_words(["a.txt", "bad.txt"], job=job(**given))
    (tmp_path / "fixed").touch()
    name = "".join(raised.value.__notes__).partition("resume=")[2].split()[0]

    result = top_words(["a.txt", "bad.txt"], job=job(**given | change), resume=name)

    assert contents(result) == {"a.txt": output, "bad.txt": output}
    assert Counter((tmp_path / "done").read_text().split()) == runs

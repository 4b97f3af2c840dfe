"""What a program of the user's own is called with and leaves, on a machine without Batch."""

import json
import shlex
import subprocess
from pathlib import Path
from uuid import UUID

import pytest

from prefect_azure_batch.model.run import new_run
from prefect_azure_batch.model.tasks import BlobPlace, InputFile, NodeFile
from prefect_azure_batch.service.specs import shell_command
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings
from prefect_azure_batch.workloads.own_program import (
    output_names,
    plan_own_program,
    program_commands,
)

RUN = new_run(UUID(int=0xABC), 1, JobSettings(), CleanUpPolicy())
AWKWARD = ["", "a b", "it's", '"', "$HOME", "$(touch x)", "`touch x`", "a\nb\n", "-n", "\\", "*"]
AWKWARD += ["žluťoučký 😀", "a;b|c>d&", "!!", "~", "%s", "{a,b}", "--", "\t"]


def executed(folder: Path, source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of this source in a folder as a batch task does."""
    (folder / "program.py").write_text(source)
    commands = program_commands('"$SHARED"/program.py', [*arguments])
    return subprocess.run(
        shlex.split(shell_command(commands)),
        cwd=folder,
        env={"SHARED": str(folder), "PATH": "/usr/bin:/bin:/usr/local/bin", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_one_batch_task_for_each_input() -> None:
    """INPUT and OUTPUT come last, in folders of their own; the same arguments for all."""
    blob = BlobPlace("texts", "2019/b.txt")
    inputs = [InputFile("-a.txt", 1, path="/x/-a.txt"), InputFile("b.txt", 1, blob=blob)]
    job = JobSettings(program="p.py", program_arguments=("--x", "1"))

    first, second = plan_own_program(RUN, inputs, job)

    assert (first.id, second.id) == ("task0", "task1")
    assert first.arguments == ("--x", "1", "input/-a.txt", "output/-a_OUTPUT.txt")
    assert first.files == (NodeFile(BlobPlace(RUN.input_container, "-a.txt"), "input/-a.txt"),)
    assert second.files == (NodeFile(blob, "input/b.txt"),)
    assert (second.outputs, second.results) == (("b_OUTPUT.txt",), ("b_OUTPUT.txt",))


@pytest.mark.parametrize(
    ("names", "suffix", "outputs"),
    [
        (["a.txt", "a.csv"], None, ["a_OUTPUT.txt", "a_OUTPUT.csv"]),
        (["a.txt", "b"], ".json", ["a_OUTPUT.json", "b_OUTPUT.json"]),
        (["a.txt", "A.csv", "a-2.txt"], ".x", ["a_OUTPUT.x", "A-2_OUTPUT.x", "a-2-2_OUTPUT.x"]),
        (["a.tar.gz"], ".tar.zst", ["a.tar_OUTPUT.tar.zst"]),
        ([".txt"], ".json", [".txt_OUTPUT.json"]),
    ],
)
def test_outputs_are_called_after_inputs(
    names: list[str], suffix: str | None, outputs: list[str]
) -> None:
    """A suffix takes the place of the extension, and equal stems get numbers."""
    assert output_names(names, suffix) == outputs


def test_arguments_are_verbatim(tmp_path: Path) -> None:
    """The program is given each argument as it is, and none of it is run."""
    source = "import json, sys; json.dump(sys.argv[1:], open(sys.argv[-1], 'w'))"

    done = executed(tmp_path, source, *AWKWARD, "input/it's.txt", "output/it's_OUTPUT.txt")

    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "output" / "uploaded").read_text())
    assert told == [*AWKWARD, "input/it's.txt", "output/it's_OUTPUT.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["output", "program.py"]


def test_exit_code_is_the_program_s(tmp_path: Path) -> None:
    """A program that fails has failed, also after it has written its output."""
    done = executed(tmp_path, "open('output/o', 'w'); raise SystemExit(9)", "i", "output/o")

    assert done.returncode == 9


@pytest.mark.parametrize("source", ["", "import os; os.mkdir('output/o')"])
def test_no_output_is_a_failure(tmp_path: Path, source: str) -> None:
    """Exit code 0 without the file is told plainly; what an earlier try has left counts not."""
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "o").write_text("of a try that failed")

    done = executed(tmp_path, source, "i", "output/o")

    assert done.returncode == 74
    assert done.stderr == "the program (job.program) exited 0 without writing its output output/o\n"


def test_nothing_is_in_the_way_of_an_output(tmp_path: Path) -> None:
    """What else the program puts into the output's folder is its own affair."""
    source = "import os; os.mkdir('output/uploaded'); open('output/o', 'w').write('good')"

    done = executed(tmp_path, source, "i", "output/o")

    assert done.returncode == 0
    assert (tmp_path / "output" / "uploaded").read_text() == "good"


def test_output_may_be_empty(tmp_path: Path) -> None:
    """An empty file is an output."""
    done = executed(tmp_path, "open('output/o', 'w')", "i", "output/o")

    assert done.returncode == 0
    assert (tmp_path / "output" / "uploaded").read_bytes() == b""

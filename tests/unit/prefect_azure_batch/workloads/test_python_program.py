"""What a program of the user's own is called with and leaves, on a machine without Batch."""

import json
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest

from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.model.result import OutputRow
from prefect_azure_batch.model.run import new_run
from prefect_azure_batch.model.tasks import (
    BlobPlace,
    InputFile,
    NodeFile,
    NodeOutput,
    PlannedTask,
    Upload,
)
from prefect_azure_batch.service.specs import shell_command
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings
from prefect_azure_batch.workloads.python_program import PythonProgram

RUN = new_run(UUID(int=0xABC), 1, JobSettings(), CleanUpPolicy())
AWKWARD = ["", "a b", "it's", '"', "$HOME", "$(touch x)", "`touch x`", "a\nb\n", "-n", "\\", "*"]
AWKWARD += ["žluťoučký 😀", "a;b|c>d&", "!!", "~", "%s", "{a,b}", "--", "\t"]


def executed(folder: Path, source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of this source in a folder as a batch task does."""
    (folder / "program.py").write_text(source)
    planned = PlannedTask("task0", ("i",), arguments, (), (), ())
    commands = PythonProgram("program.py").commands(planned, '"$SHARED"')
    return subprocess.run(
        shlex.split(shell_command(commands)),
        cwd=folder,
        env={"SHARED": str(folder), "PATH": "/usr/bin:/bin:/usr/local/bin", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )


def planned_tasks(program: PythonProgram, inputs: Sequence[InputFile]) -> Sequence[PlannedTask]:
    """Return the batch tasks of a program: one level."""
    (level,) = program.plan(RUN, inputs, PoolSettings())
    return level


def test_one_batch_task_for_each_input() -> None:
    """INPUT and OUTPUT come last, in folders of their own; the same arguments for all."""
    blob = BlobPlace("texts", "2019/b.txt")
    inputs = [InputFile("-a.txt", 1, path="/x/-a.txt"), InputFile("b.txt", 1, blob=blob)]

    first, second = planned_tasks(PythonProgram("p.py", ("--x", "1")), inputs)

    assert (first.id, second.id) == ("task0", "task1")
    assert first.arguments == ("--x", "1", "input/-a.txt", "output/-a_OUTPUT.txt")
    assert first.files == (NodeFile(BlobPlace(RUN.input_container, "-a.txt"), "input/-a.txt"),)
    assert second.files == (NodeFile(blob, "input/b.txt"),)
    assert (second.outputs, second.results) == (("b_OUTPUT.txt",), ("b_OUTPUT.txt",))
    assert second.uploads == (NodeOutput("uploaded-output", "b_OUTPUT.txt"),)


@pytest.mark.parametrize(
    ("names", "suffix", "outputs"),
    [
        (["a.txt", "a.csv"], None, ["a_OUTPUT.txt", "a_OUTPUT.csv"]),
        (["a.txt", "b"], ".json", ["a_OUTPUT.json", "b_OUTPUT.json"]),
        (["y/a.txt", "x.y/b"], None, ["y/a_OUTPUT.txt", "x.y/b_OUTPUT"]),
        (["y/a.txt", "x.y/b"], ".json", ["y/a_OUTPUT.json", "x.y/b_OUTPUT.json"]),
        (["a.tar.gz"], ".tar.zst", ["a.tar_OUTPUT.tar.zst"]),
        ([".txt"], ".json", [".txt_OUTPUT.json"]),
        (["..txt"], ".json", ["..txt_OUTPUT.json"]),
    ],
)
def test_outputs_are_called_after_inputs(
    names: list[str], suffix: str | None, outputs: list[str]
) -> None:
    """A suffix takes the place of the extension; folders stay."""
    inputs = [InputFile(name, 1, f"/x/{name}") for name in names]

    level = planned_tasks(PythonProgram("p.py", (), suffix), inputs)

    assert [name for planned in level for name in planned.results] == outputs


def test_arguments_are_verbatim(tmp_path: Path) -> None:
    """The program is given each argument as it is, and none of it is run."""
    source = "import json, sys; json.dump(sys.argv[1:], open(sys.argv[-1], 'w'))"

    done = executed(tmp_path, source, *AWKWARD, "input/it's.txt", "output/it's_OUTPUT.txt")

    assert done.returncode == 0, done.stderr
    given = json.loads((tmp_path / "uploaded-output").read_text())
    assert given == [*AWKWARD, "input/it's.txt", "output/it's_OUTPUT.txt"]
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ["output", "program.py", "uploaded-output"]


def test_exit_code_is_the_program_s(tmp_path: Path) -> None:
    """A program that fails has failed, also after it has written its output."""
    done = executed(tmp_path, "open('output/o', 'w'); raise SystemExit(9)", "i", "output/o")

    assert done.returncode == 9


@pytest.mark.parametrize("source", ["", "import os; os.mkdir('output/o')"])
def test_no_output_is_a_failure(tmp_path: Path, source: str) -> None:
    """Exit code 0 without the file is reported; what an earlier try has left does not count."""
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "o").write_text("of a try that failed")

    done = executed(tmp_path, source, "i", "output/o")

    assert done.returncode == 74
    assert done.stderr == "the program exited 0 without writing its output output/o\n"


def test_nothing_is_in_the_way_of_an_output(tmp_path: Path) -> None:
    """What else the program puts into the output's folder is its own affair."""
    source = "import os; os.mkdir('output/uploaded'); open('output/o', 'w').write('good')"

    done = executed(tmp_path, source, "i", "output/o")

    assert done.returncode == 0
    assert (tmp_path / "uploaded-output").read_text() == "good"


def test_output_may_be_empty(tmp_path: Path) -> None:
    """An empty file is an output."""
    done = executed(tmp_path, "open('output/o', 'w')", "i", "output/o")

    assert done.returncode == 0
    assert (tmp_path / "uploaded-output").read_bytes() == b""


def test_program_is_uploaded_under_its_own_name(tmp_path: Path) -> None:
    """Every node gets the one file."""
    path = tmp_path / "my fit.py"
    path.write_text("pass")

    assert PythonProgram(str(path)).node_files(RUN) == [
        Upload(BlobPlace(RUN.application_container, "my fit.py"), path, 4)
    ]


def test_result_has_a_row_for_each_input(tmp_path: Path) -> None:
    """Rows are in the order of the inputs, whatever their outputs are called."""
    inputs = [InputFile("b.txt", 1, "/in/b.txt"), InputFile("a.txt", 1, "/in/a.txt")]
    program = PythonProgram("p.py", suffix=".json")
    for name in "ab":
        (tmp_path / f"{name}_OUTPUT.json").write_text(name * 3)

    found = program.result(tmp_path, inputs, [planned_tasks(program, inputs)])

    assert list(found) == [
        OutputRow("/in/b.txt", "b.txt", str(tmp_path / "b_OUTPUT.json"), 3),
        OutputRow("/in/a.txt", "a.txt", str(tmp_path / "a_OUTPUT.json"), 3),
    ]


@pytest.mark.parametrize(
    ("command", "program", "arguments"),
    [
        ("fit.py", "fit.py", ()),
        ("folder/fit.py --fast 3", "folder/fit.py", ("--fast", "3")),
        ("'my fit.py' --title 'a b' \"it's\" ''", "my fit.py", ("--title", "a b", "it's", "")),
        ("fit.py $HOME *.txt ~", "fit.py", ("$HOME", "*.txt", "~")),
        ("fit.py {a,b} {1}", "fit.py", ("{a,b}", "{1}")),
    ],
)
def test_command_is_split_as_a_shell_does(
    command: str, program: str, arguments: tuple[str, ...]
) -> None:
    """Quotes hold arguments together; nothing is replaced."""
    assert PythonProgram.from_command(command, ".x") == PythonProgram(program, arguments, ".x")


@pytest.mark.parametrize("command", ["", "  ", "fit.py 'it", 'fit.py "', "fit.py \\"])
def test_command_that_cannot_be_split(command: str) -> None:
    """Bad quoting, or no program, is an error that repeats the command and shows a good one."""
    with pytest.raises(ConfigurationError, match=r"write it .*'fit\.py --fast'") as raised:
        PythonProgram.from_command(command, None)

    assert repr(command) in str(raised.value)
    assert "unpack" not in str(raised.value)


@pytest.mark.parametrize("placeholder", ["{input}", "{output.name}", "--out={output}"])
def test_placeholders_are_refused(placeholder: str) -> None:
    """INPUT and OUTPUT are given anyway; where somebody writes them, nothing would replace them."""
    with pytest.raises(ConfigurationError, match=r"\{.*\} is not supported: .*last two arguments"):
        PythonProgram.from_command(f"fit.py {placeholder}", None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a program is written to."""
    return tmp_path / "program.py"


def test_good_program(path: Path) -> None:
    """A program that compiles passes, with arguments and a suffix."""
    path.write_text("print()")

    PythonProgram(str(path), ("--x", "žluť"), ".tar.gz").check()


def test_syntax_error_is_reported_with_its_line(path: Path) -> None:
    """A program that no Python would run is refused with the line."""
    path.write_text("import sys\nprint(]\n")

    with pytest.raises(ConfigurationError, match=r"does not compile.*program\.py, line 2"):
        PythonProgram(str(path)).check()


def test_null_bytes_are_not_a_program(path: Path) -> None:
    """A file that is not text is refused as well."""
    path.write_bytes(b"print()\0")

    with pytest.raises(ConfigurationError, match="does not compile"):
        PythonProgram(str(path)).check()


@pytest.mark.parametrize("name", ["heartbeat", "program.sh", "a\nb.py", "a\\b.py"])
def test_name_of_a_program(tmp_path: Path, name: str) -> None:
    """A name that is not a blob's, or that another blob has, is refused before it is uploaded."""
    (tmp_path / name).touch()

    with pytest.raises(ConfigurationError, match=r"program .*must end with \.py"):
        PythonProgram(str(tmp_path / name)).check()


def test_warnings_of_a_program_do_not_matter(path: Path) -> None:
    """What is only doubtful is left to its author."""
    path.write_text("'\\d' is 3\n")

    PythonProgram(str(path)).check()


@pytest.mark.parametrize("name", ["absent.py", "."])
def test_program_that_is_not_a_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named by its whole path: the working directory can be another than was meant."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigurationError, match=rf"program '{tmp_path}.*' is not a file"):
        PythonProgram(name).check()


@pytest.mark.parametrize(
    ("arguments", "suffix", "reason"),
    [
        ((), "../x", "output_suffix '../x' is not a suffix"),
        ((), "", "output_suffix '' is not a suffix"),
        (("a\0b",), None, "arguments must be UTF-8 without NUL"),
        (("\udcff",), None, "arguments must be UTF-8 without NUL"),
        (("x" * 8193,), None, "arguments have 8193 bytes"),
        (("'" * 8000,), None, "arguments have 1360.. bytes, quoted"),
        (("",) * 800, None, "arguments have 88.. bytes, quoted"),
    ],
)
def test_what_a_program_cannot_have(
    path: Path, arguments: tuple[str, ...], suffix: str | None, reason: str
) -> None:
    """What could not work is named before anything is created."""
    path.touch()

    with pytest.raises(ConfigurationError, match=reason):
        PythonProgram(str(path), arguments, suffix).check()

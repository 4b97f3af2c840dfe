"""The node program as a process: arguments, files, exit codes; nothing of the project imported."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tasks_node" / "top_words.py"
RULE = "-" * 30


def run_program(
    folder: Path,
    *arguments: str,
    environment: dict[str, str] | None = None,
    stdin: bytes = b"",
    program: Path = PROGRAM,
) -> subprocess.CompletedProcess[bytes]:
    """Run the node program in a folder, with nothing in its environment but what is given."""
    return subprocess.run(
        [sys.executable, str(program), *arguments],
        cwd=folder,
        env=environment or {},
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )


def words_of(output: Path) -> list[tuple[str, int]]:
    """Parse an output file by the contract: the words stand between the two rules."""
    lines = output.read_text(encoding="utf-8").split("\n")
    first = lines.index(RULE)
    entries = [line.split("\t") for line in lines[first + 1 : lines.index(RULE, first + 1)]]
    return [(word, int(count)) for word, count in entries]


def count(folder: Path, text: bytes, *arguments: str) -> list[tuple[str, int]]:
    """Return what the program finds in a text."""
    (folder / "text.txt").write_bytes(text)
    done = run_program(folder, "--filepath", "text.txt", "--numwords", "9", *arguments)
    assert done.returncode == 0, done.stderr
    return words_of(folder / "text_OUTPUT.txt")


def assert_refused(
    done: subprocess.CompletedProcess[bytes], exit_code: int, *evidence: str
) -> None:
    """Check the exit code and that stderr is one line which holds the evidence."""
    message = done.stderr.decode()
    assert done.returncode == exit_code, message
    assert message.count("\n") == 1
    assert message.endswith("\n")
    assert all(part in message for part in evidence), message


def test_the_output_has_the_documented_format(tmp_path: Path) -> None:
    """The output is a heading, the words by count and code point, and the four ids."""
    (tmp_path / "text.txt").write_text("b a b c a b")
    ids = {"NODE": "tvm_1", "TASK": "topNtask0", "JOB": "run-1", "POOL": "run-1"}

    run_program(
        tmp_path,
        *("--filepath", "text.txt", "--numwords", "2"),
        environment={f"AZ_BATCH_{name}_ID": value for name, value in ids.items()},
    )

    assert (tmp_path / "text_OUTPUT.txt").read_bytes() == (
        f"Word\tCount\n{RULE}\nb\t3\na\t2\n{RULE}\n"
        "Node: tvm_1\nTask: topNtask0\nJob: run-1\nPool: run-1\n"
    ).encode()


def test_absent_ids_are_dashes(tmp_path: Path) -> None:
    """Away from Batch the ids are dashes."""
    count(tmp_path, b"a")

    lines = (tmp_path / "text_OUTPUT.txt").read_text().splitlines()

    assert lines[-4:] == ["Node: -", "Task: -", "Job: -", "Pool: -"]


def test_ids_cannot_break_the_format(tmp_path: Path) -> None:
    """An id with line ends or tabs in it still takes one line without a tab."""
    (tmp_path / "text.txt").write_text("a")

    run_program(
        tmp_path,
        *("--filepath", "text.txt", "--numwords", "2"),
        environment={"AZ_BATCH_NODE_ID": f"x\n{RULE}\ny\tz"},
    )

    lines = (tmp_path / "text_OUTPUT.txt").read_text().splitlines()
    assert lines[4] == f"Node: x {RULE} y z"


@pytest.mark.parametrize("definition", ["unicode", "tutorial"])
def test_an_empty_text_gives_an_output_without_words(tmp_path: Path, definition: str) -> None:
    """An empty file is a text without words, not an error."""
    assert count(tmp_path, b"", "--words", definition) == []


def test_ties_are_broken_by_code_point(tmp_path: Path) -> None:
    """Words of equal count stand in the order of their code points."""
    assert count(tmp_path, "zebra é apple Zürich 10".encode()) == [
        ("10", 1),
        ("apple", 1),
        ("zebra", 1),
        ("zürich", 1),
        ("é", 1),
    ]


@pytest.mark.parametrize("definition", ["unicode", "tutorial"])
def test_the_byte_order_mark_is_dropped(tmp_path: Path, definition: str) -> None:
    """A byte order mark does not stick to the first word."""
    assert count(tmp_path, b"\xef\xbb\xbfword word", "--words", definition) == [("word", 2)]


def test_invalid_utf8_separates_words(tmp_path: Path) -> None:
    """A byte that is not UTF-8 ends a word and is no part of one."""
    assert count(tmp_path, b"left\xffright left\xc3 right") == [("left", 2), ("right", 2)]


def test_the_tutorial_definition_keeps_case_and_inner_punctuation(tmp_path: Path) -> None:
    """The definition of 2016 splits at white space and strips ASCII punctuation, no more."""
    text = "The the, (the) well-known one—two ... It\u2019s\u00a0so".encode()

    assert count(tmp_path, text, "--words", "tutorial") == [
        ("the", 2),
        ("It\u2019s", 1),
        ("The", 1),
        ("one—two", 1),
        ("so", 1),
        ("well-known", 1),
    ]


def test_standard_input_is_read_for_a_dash(tmp_path: Path) -> None:
    """`-` reads standard input and names the output after it."""
    run_program(tmp_path, "--filepath", "-", "--numwords", "1", stdin=b"x y x")

    assert words_of(tmp_path / "stdin_OUTPUT.txt") == [("x", 2)]


def test_the_output_may_be_named(tmp_path: Path) -> None:
    """`--output` says where the output goes, and nothing else is written."""
    (tmp_path / "deep").mkdir()

    run_program(
        tmp_path, "--filepath", "-", "--numwords", "1", "--output", "deep/x.tsv", stdin=b"x"
    )

    assert [path.name for path in tmp_path.rglob("*")] == ["deep", "x.tsv"]


def test_the_delay_comes_on_top(tmp_path: Path) -> None:
    """`--delay` makes the program take at least that long."""
    start = time.monotonic()

    run_program(tmp_path, "--filepath", "-", "--numwords", "1", "--delay", "0.4", stdin=b"x")

    assert time.monotonic() - start >= 0.4
    assert words_of(tmp_path / "stdin_OUTPUT.txt") == [("x", 1)]


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("two words.txt", "two words_OUTPUT.txt"),
        ('it\'s "quoted".txt', 'it\'s "quoted"_OUTPUT.txt'),
        ("$(touch x).txt", "$(touch x)_OUTPUT.txt"),
        ("line\nend.txt", "line\nend_OUTPUT.txt"),
        ("Größe 河.txt", "Größe 河_OUTPUT.txt"),
        ("no-extension", "no-extension_OUTPUT"),
        ("a.tar.gz", "a.tar_OUTPUT.gz"),
        (".hidden", ".hidden_OUTPUT"),
        ("dot.", "dot_OUTPUT."),
    ],
)
def test_a_file_name_is_data(tmp_path: Path, name: str, output: str) -> None:
    """Any file name works, in the C locale too, and the output goes to the working directory."""
    inputs, work = tmp_path / "in", tmp_path / "work"
    inputs.mkdir()
    work.mkdir()
    (inputs / name).write_text("x")

    done = run_program(
        work, "--filepath", f"{inputs}/{name}", "--numwords", "1", environment={"LC_ALL": "C"}
    )

    assert done.returncode == 0, done.stderr
    assert os.listdir(work) == [output]  # noqa: PTH208 - the names as the system gives them


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_file_name_that_is_not_utf8_is_data(tmp_path: Path) -> None:
    """A name of arbitrary bytes works."""
    (tmp_path / os.fsdecode(b"\xff.txt")).write_text("x")

    done = run_program(tmp_path, "--filepath", os.fsdecode(b"\xff.txt"), "--numwords", "1")

    assert done.returncode == 0, done.stderr
    assert (tmp_path / os.fsdecode(b"\xff_OUTPUT.txt")).exists()


def test_the_program_runs_as_a_read_only_copy(tmp_path: Path) -> None:
    """The one file is enough: copied, read-only, isolated, in the C locale."""
    copy = tmp_path / "shared" / "top_words.py"
    copy.parent.mkdir()
    shutil.copy(PROGRAM, copy)
    copy.chmod(0o400)
    copy.parent.chmod(0o500)

    done = run_program(
        tmp_path,
        *("--filepath", "-", "--numwords", "1"),
        environment={"LC_ALL": "C"},
        stdin="Übung übung".encode(),
        program=copy,
    )

    assert done.returncode == 0, done.stderr
    assert words_of(tmp_path / "stdin_OUTPUT.txt") == [("übung", 2)]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--numwords", "1"),
        ("--filepath", "-"),
        ("--filepath", "-", "--numwords", "0"),
        ("--filepath", "-", "--numwords", "-3"),
        ("--filepath", "-", "--numwords", "many"),
        ("--filepath", "-", "--numwords", "1", "--words", "bytes"),
        ("--filepath", "-", "--numwords", "1", "--delay", "-1"),
        ("--filepath", "-", "--numwords", "1", "--delay", "nan"),
        ("--filepath", "-", "--numwords", "1", "--surprise\nline"),
        ("--file", "-", "--numwords", "1"),
    ],
)
def test_wrong_arguments_exit_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Arguments that are missing, unknown or out of range are a usage error; nothing is written."""
    assert_refused(run_program(tmp_path, *arguments), 2, "--")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"text\0text", "NUL byte at offset 4"),
        (b"x" * 300_000 + b"\0", "NUL byte at offset 300000"),
        ("wide".encode("utf-16"), "UTF-16"),
        (b"\xfe\xff\x00w", "UTF-16"),
    ],
)
def test_binary_input_exits_3(tmp_path: Path, content: bytes, reason: str) -> None:
    """What is no UTF-8 text is refused with its name and the reason, and gives no output."""
    (tmp_path / "bad\nname").write_bytes(content)

    done = run_program(tmp_path, "--filepath", "bad\nname", "--numwords", "1")

    assert_refused(done, 3, r"'bad\nname'", reason)
    assert [path.name for path in tmp_path.iterdir()] == ["bad\nname"]


@pytest.mark.parametrize(
    ("name", "reason"), [("absent.txt", "No such file"), (".", "Is a directory")]
)
def test_input_that_cannot_be_read_exits_3(tmp_path: Path, name: str, reason: str) -> None:
    """A missing file and a directory are input errors that name the input."""
    done = run_program(tmp_path, "--filepath", name, "--numwords", "1")

    assert_refused(done, 3, f"'{name}'", reason)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/mem is Linux's")
def test_an_input_that_fails_while_it_is_read_exits_3(tmp_path: Path) -> None:
    """An input that opens but cannot be read is an input error with the system's reason."""
    done = run_program(tmp_path, "--filepath", "/proc/self/mem", "--numwords", "1")

    assert_refused(done, 3, "'/proc/self/mem'", "Input/output error")


def test_an_output_that_cannot_be_written_exits_5(tmp_path: Path) -> None:
    """An output in a folder that is not there is an error that names the output."""
    done = run_program(tmp_path, "--filepath", "-", "--numwords", "1", "--output", "no/where")

    assert_refused(done, 5, "'no/where'", "No such file")


def test_an_internal_error_exits_70_without_its_text(tmp_path: Path) -> None:
    """A defect is named by type and line; its text, here a secret, is not shown."""
    program = Path(shutil.copy(PROGRAM, tmp_path))
    # The script's folder comes first on the path, so this is the heapq that the program gets.
    (tmp_path / "heapq.py").write_text("def nlargest(*a, **k): raise RuntimeError('sig=secret')")

    done = run_program(tmp_path, "--filepath", "-", "--numwords", "1", program=program)

    assert_refused(done, 70, "RuntimeError", "heapq.py:1")
    assert b"secret" not in done.stderr + done.stdout

"""The output file."""

import os
import sys
from pathlib import Path

import pytest

from tests.support.counted_words import count_settings, counted
from tests.support.node_program import RULE, assert_refused, count, run_program
from word_counter.tokenizer import DEFINITIONS


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


def test_the_output_may_be_named(tmp_path: Path) -> None:
    """`--output` says where the output goes, and nothing else is written."""
    (tmp_path / "deep").mkdir()

    run_program(
        tmp_path, "--filepath", "-", "--numwords", "1", "--output", "deep/x.tsv", stdin=b"x"
    )

    assert [path.name for path in tmp_path.rglob("*")] == ["deep", "x.tsv"]


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("two words.txt", "two words_OUTPUT.txt"),
        ('it\'s "quoted".txt', 'it\'s "quoted"_OUTPUT.txt'),
        ("$(touch x).txt", "$(touch x)_OUTPUT.txt"),
        ("line\nend.txt", "line\nend_OUTPUT.txt"),
        ("Größe 河.txt", "Größe 河_OUTPUT.txt"),
        ("no-extension", "no-extension_OUTPUT"),
        ("text.md", "text_OUTPUT.md"),
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


def test_an_output_that_cannot_be_written_exits_5(tmp_path: Path) -> None:
    """An output in a folder that is not there is an error that names the output."""
    done = run_program(tmp_path, "--filepath", "-", "--numwords", "1", "--output", "no/where")

    assert_refused(done, 5, "'no/where'", "No such file")


def test_no_word_can_break_the_output_format() -> None:
    """Whatever the text, a word holds no white space and is not empty."""
    everything = "".join(map(chr, [*range(1, 0xD800), *range(0xE000, 0x30000)])).encode()

    for words in DEFINITIONS:
        assert all(word.split() == [word] for word in counted(everything, count_settings(words)))

"""Reading what the node program writes."""

from pathlib import Path

import pytest

from flows.word_count.output_files import read_result, read_words
from prefect_azure_batch.errors import OutputUnreadable
from prefect_azure_batch.model.tasks import InputFile

RULE = "-" * 30


def write_output(path: Path, lines: str) -> Path:
    """Write an output as the node program does."""
    text = f"Word\tCount\n{RULE}\n{lines}{RULE}\nNode: n\nTask: t\nJob: j\nPool: p\n"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("", []),
        ("the\t4\n", [("the", 4)]),
        ("the\t4\nčas\t2\n", [("the", 4), ("čas", 2)]),
        ("a\x0bb\u2028c\rd\t1\n", [("a\x0bb\u2028c\rd", 1)]),
    ],
)
def test_words_between_the_rules(tmp_path: Path, lines: str, words: list[tuple[str, int]]) -> None:
    """The words are the lines between the two rules; only a line feed ends a line."""
    assert read_words(write_output(tmp_path / "a_OUTPUT.txt", lines)) == words


def test_line_without_count(tmp_path: Path) -> None:
    """An output of another format is an error that shows the line."""
    with pytest.raises(OutputUnreadable, match=r"'nonsense' of output 'a_OUTPUT\.txt'"):
        read_words(write_output(tmp_path / "a_OUTPUT.txt", "nonsense\n"))


def test_output_that_is_not_utf8(tmp_path: Path) -> None:
    """Bytes of another program's output that are not UTF-8 are replaced."""
    path = tmp_path / "a_OUTPUT.txt"
    path.write_bytes(f"{RULE}\n".encode() + b"caf\xe9\t2\n" + f"{RULE}\n".encode())

    assert read_words(path) == [("caf\ufffd", 2)]


def test_results_are_in_the_order_of_the_inputs(tmp_path: Path) -> None:
    """Words stand under their inputs' names, in the order given; those of all apart."""
    write_output(tmp_path / "b_OUTPUT.txt", "x\t1\n")
    write_output(tmp_path / "a_OUTPUT.txt", "y\t2\n")
    write_output(tmp_path / "all-inputs.txt", "y\t2\nx\t1\n")

    result = read_result(tmp_path, [InputFile("b.txt", 1), InputFile("a.txt", 1)], has_total=True)

    assert list(result.words.items()) == [("b.txt", [("x", 1)]), ("a.txt", [("y", 2)])]
    assert result.total == [("y", 2), ("x", 1)]


def test_total_of_an_earlier_run_is_not_read(tmp_path: Path) -> None:
    """Without a total asked for there is none, whatever lies in the folder."""
    write_output(tmp_path / "all-inputs.txt", "old\t2\n")

    assert read_result(tmp_path, [], has_total=False).total is None


def test_undecodable_bytes_of_each_input(tmp_path: Path) -> None:
    """They stand behind the words; what has none is not named."""
    for name, more in (("a", "Undecodable bytes: 12\n"), ("b", "")):
        path = write_output(tmp_path / f"{name}_OUTPUT.txt", "x\t1\n")
        path.write_text(path.read_text() + more)

    result = read_result(tmp_path, [InputFile("a.txt", 1), InputFile("b.txt", 1)], has_total=False)

    assert result.undecodable == {"a.txt": 12}
    assert result.words == {"a.txt": [("x", 1)], "b.txt": [("x", 1)]}

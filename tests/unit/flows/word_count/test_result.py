"""The words that were found, as rows and bars."""

import pytest

from flows.word_count.result import Result, WordCounts, bar, table_rows
from prefect_azure_batch.model.result import OutputRow

WORDS: dict[str, WordCounts] = {"a.txt": [("the", 8), ("čas", 2)], "empty.txt": []}


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (8, 8, "█" * 20),
        (4, 8, "█" * 10),
        (1, 160, "▏"),
        (1, 10**9, "▏"),
        (23, 160, "██▉"),
        (0, 0, ""),
    ],
)
def test_bars(part: int, whole: int, shown: str) -> None:
    """A bar is as long as its share, to an eighth of a character; only nothing has none."""
    assert bar(part, whole) == shown


def test_rows_of_a_table() -> None:
    """Each word has a row, and an input without words has one that says so."""
    assert list(table_rows(WORDS)) == [
        {"input": "a.txt", "word": "the", "count": 8},
        {"input": "a.txt", "word": "čas", "count": 2},
        {"input": "empty.txt", "word": "(no words)", "count": 0},
    ]


def test_bars_of_a_page_are_shares_of_the_most_frequent_word() -> None:
    """Each input has a scale of its own, and so has the total, which comes first."""
    rows = list(Result(WORDS, [("the", 80)]).page_rows(1))

    assert [(row["input"], len(str(row["bar"]))) for row in rows] == [
        ("(all inputs)", 20),
        ("a.txt", 20),
        ("a.txt", 5),
    ]


def test_number_of_inputs() -> None:
    """It is that of the words, or of the outputs of a program of the user's own."""
    row = OutputRow("/in/a", "a", "/out/a_OUTPUT", 1)

    assert Result(WORDS).num_inputs == 2
    assert Result({}, outputs={"a": row}).num_inputs == 1
    assert Result({}).num_inputs == 0


def test_undecodable_bytes() -> None:
    """They are in every table and file, by input; the warning names the worst."""
    words: dict[str, WordCounts] = {"a": [("x", 1)], "b": [], "c": [("y", 2)]}
    result = Result(words, [("y", 2)], undecodable={"a": 2, "b": 30}, sources={"b": "in/b"})

    assert result.page_columns() == ("Input", "Word", "Count", "", "Undecodable bytes", "Source")
    assert [row["undecodable_bytes"] for row in result.page_rows(3)] == [32, 2, 30, 0]
    assert list(result.csv_rows()) == [
        ("", "y", 2, 32, ""),
        ("a", "x", 1, 2, ""),
        ("b", "", 0, 30, "in/b"),
        ("c", "y", 2, 0, ""),
    ]
    assert result.json_fields()["undecodable_bytes"] == {"a": 2, "b": 30}
    assert result.warning("utf-8").startswith("32 bytes of 2 input(s) are not utf-8")
    assert "'b' (30), 'a' (2); name the encoding" in result.warning("utf-8")
    assert Result(words).warning("utf-8") == ""


def test_warning_of_many_inputs_is_short() -> None:
    """Three are named, and how many more there are."""
    bad = {f"{number}": 1 for number in range(1000)}

    assert "'2' (1) and 997 more; " in Result({}, undecodable=bad).warning("utf-8")

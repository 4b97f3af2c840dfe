"""What a run found and took, as files and for Prefect's UI."""

import csv
import io
import json
from collections.abc import Callable
from typing import TextIO

from flows.word_count.result import Result, WordCounts
from prefect_azure_batch.collecting.summary import (
    Summary,
    as_markdown,
    bounds,
    node_use,
    page_rows,
    write_csv,
    write_json,
)
from prefect_azure_batch.model.left_out import LeftOut
from prefect_azure_batch.model.result import OutputRow, Outputs

WORDS: dict[str, WordCounts] = {'a".txt': [("the", 8), ("čas", 1)], "empty.txt": []}
SOURCES = {name: f"in/{name}" for name in WORDS}
TOTAL: WordCounts = [("the", 8), ("čas", 1)]
OUTPUTS = Outputs((OutputRow('/in/a".txt', 'a".txt', "/out/a_OUTPUT.txt", 12),))
SUMMARY = Summary(
    "run-1",
    Result(WORDS, TOTAL, sources=SOURCES),
    {"upload": 1.5, "counting": 2.25},
    None,
    [LeftOut("in/b.png", "is binary")],
)


def written(write: Callable[[Summary, TextIO], None], summary: Summary) -> str:
    """Return what a summary is written as."""
    file = io.StringIO(newline="")
    write(summary, file)
    return file.getvalue()


def test_json() -> None:
    """The JSON file holds the words of every input, the total, and the times."""
    assert json.loads(written(write_json, SUMMARY)) == {
        "run_id": "run-1",
        "elapsed_s": 3.75,
        "phases_s": {"upload": 1.5, "counting": 2.25},
        "nodes": None,
        "left_out": [{"source": "in/b.png", "reason": "is binary"}],
        "total": [["the", 8], ["čas", 1]],
        "undecodable_bytes": {},
        "inputs": {
            'a".txt': {"source": 'in/a".txt', "words": [["the", 8], ["čas", 1]]},
            "empty.txt": {"source": "in/empty.txt", "words": []},
        },
    }


def test_json_of_many_inputs_has_a_line_each() -> None:
    """A result of ten thousand inputs can be read by eye and by line."""
    words: dict[str, WordCounts] = {f"{number}.txt": [("x", 1)] for number in range(10_000)}
    text = written(write_json, Summary("r", Result(words), {}, node_use(2, 1800, 0.5)))

    assert text.count("\n") == 10_000 + 11
    assert json.loads(text)["nodes"] == {"num_nodes": 2, "node_seconds": 3600, "cost": 0.5}


def test_page_names_what_was_left_out() -> None:
    """The summary counts and names them, each with its reason."""
    assert "## Left out\n\n1: 'in/b.png' is binary\n" in as_markdown(SUMMARY)


def test_csv() -> None:
    """The CSV file has a row per input and word; those of the total have no input."""
    assert list(csv.reader(written(write_csv, SUMMARY).splitlines())) == [
        ["run_id", "input", "word", "count", "undecodable_bytes", "source"],
        ["run-1", "", "the", "8", "0", ""],
        ["run-1", "", "čas", "1", "0", ""],
        ["run-1", 'a".txt', "the", "8", "0", 'in/a".txt'],
        ["run-1", 'a".txt', "čas", "1", "0", 'in/a".txt'],
    ]


def test_rows_for_the_page_are_bounded() -> None:
    """The total comes first, then the first hundred inputs, and how many there are is said."""
    words: dict[str, WordCounts] = {f"{number}.txt": [("x", 1)] for number in range(500)}
    rows = page_rows(Result(words, TOTAL))

    assert [row["input"] for row in rows[:3]] == ["(all inputs)", "(all inputs)", "0.txt"]
    assert len(rows) == 2 + 100
    assert bounds(Result(words)) == "; the first 100 of 500 inputs"
    assert bounds(Result(WORDS)) == ""


def test_long_lists_for_the_page_are_bounded() -> None:
    """Of very many words the first rows are shown, and that there are more is said."""
    words: WordCounts = [(f"w{number}", 1) for number in range(5000)]
    result = Result({"a.txt": words})

    assert len(page_rows(result)) == 2000
    assert bounds(result) == "; the first 2000 rows"


def test_input_without_words_has_a_row() -> None:
    """An empty input is shown as such."""
    assert page_rows(Result({"empty.txt": []})) == [
        {"input": "empty.txt", "word": "(no words)", "count": 0, "bar": "", "source": ""}
    ]


def test_markdown() -> None:
    """The page shows words as bars, the time of each phase, and what the nodes cost."""
    text = as_markdown(Summary("run-1", Result(WORDS), {"upload": 1.5}, node_use(3, 1200, 0.25)))

    assert "# Words of 2 input(s)\n" in text
    assert "| Input | Word | Count |  |" in text
    assert f'| a".txt | the | 8 | {"█" * 20} |' in text
    assert "| upload | 1.5 |" in text
    assert "about 3600 node-seconds, which cost 0.25 at the price given (estimate" in text


def test_cost_without_a_price() -> None:
    """Without a price nothing is said of a cost."""
    assert node_use(3, 1200, None).cost is None
    text = as_markdown(Summary("r", Result({}), {}, node_use(3, 1200, None)))
    assert "cost" not in text


def test_outputs_of_another_program() -> None:
    """There are no words then: files and page list the outputs, their bytes, and where they are."""
    summary = Summary("run-1", OUTPUTS, {}, None)
    row = {"output": "a_OUTPUT.txt", "bytes": 12, "folder": "/out", "source": '/in/a".txt'}

    text = json.loads(written(write_json, summary))
    assert text["outputs"] == {'a".txt': row}
    assert "total" not in text
    assert page_rows(OUTPUTS) == [{"input": 'a".txt', **row}]
    assert list(csv.reader(written(write_csv, summary).splitlines())) == [
        ["run_id", "input", "output", "bytes", "folder", "source"],
        ["run-1", 'a".txt', "a_OUTPUT.txt", "12", "/out", '/in/a".txt'],
    ]
    markdown = as_markdown(summary)
    assert "# Outputs of 1 input(s)\n" in markdown
    assert "| Input | Output | Bytes | Folder | Source |" in markdown
    assert '| a".txt | a\\_OUTPUT.txt | 12 | /out | /in/a".txt |' in markdown


def test_many_outputs_are_bounded() -> None:
    """The page shows the first hundred, and says how many there are."""
    rows = (OutputRow(f"/in/{n}", f"{n}", f"/out/{n}_OUTPUT", 1) for n in range(500))
    outputs = Outputs(tuple(rows))

    assert len(page_rows(outputs)) == 100
    assert bounds(outputs) == "; the first 100 of 500 inputs"


def test_nothing_of_a_name_is_obeyed() -> None:
    """Names of files are no formula, no escape and no markup: in files and on the page."""
    name = "=x\x1b[2J\u202e.txt"
    summary = Summary("run-1", Result({name: [("-1", 1)]}), {}, None)

    assert list(csv.reader(written(write_csv, summary).splitlines()))[1][1:3] == [
        r"'=x\x1b[2J\u202e.txt",
        "'-1",
    ]
    text = written(write_json, summary)
    assert json.loads(text)["inputs"] == {name: {"source": "", "words": [["-1", 1]]}}
    (row,) = page_rows(summary.result)
    for shown in (text, str(row["input"]), as_markdown(summary)):
        assert not {"\x1b", "\u202e"} & set(shown)

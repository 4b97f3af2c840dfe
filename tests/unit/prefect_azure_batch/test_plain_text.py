"""Text of others, made safe for each kind of writer."""

import csv
import io
import json

import pytest

from prefect_azure_batch.collecting.csv_file import write_rows
from prefect_azure_batch.plain_text import csv_cell, json_text, one_line, visible

BIDIRECTIONAL = [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x61C]
CONTROLS = [*range(9), *range(11, 32), *range(0x7F, 0xA0), *BIDIRECTIONAL, 0xDCFF]


@pytest.mark.parametrize("code", CONTROLS)
def test_controls_are_shown_and_do_nothing(code: int) -> None:
    """Each is an escape of printable ASCII; JSON has it still when it is read."""
    text = f"a{chr(code)}b"

    assert visible(text).isascii()
    assert visible(text).isprintable()
    assert one_line(text) == visible(text) == str(csv_cell(text))
    assert chr(code) not in json_text({text: [text]})
    assert json.loads(json_text({text: [text]})) == {text: [text]}


@pytest.mark.parametrize(
    "text",
    ["plain", "žluťoučký 😀", "हिन्दी", "a\nb\tc", "👩\u200d🚀", "\u0646\u0645\u06cc\u200c\u062e"],
)
def test_all_else_stays(text: str) -> None:
    """Letters of any script, emoji, lines and tabs are as they were; a line may be asked for."""
    assert visible(text) == csv_cell(text) == text
    assert one_line(text) == text.replace("\n", "\\n").replace("\t", "\\t")
    assert json_text(text) == json.dumps(text, ensure_ascii=False)


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "a;=1", "a\t@x", "\uff1d1", "x\n+1", '"=1'],
)
def test_no_cell_is_a_formula(text: str) -> None:
    """Neither where commas separate cells nor where semicolons, tabs or line ends do."""
    file = io.StringIO(newline="")

    write_rows(file, ("text", "number"), [(text, -1)])

    (_, (cell, number)) = csv.reader(io.StringIO(file.getvalue(), newline=""))
    for separator in (";", "\t", "\n"):
        assert not [part for part in cell.split(separator) if part[:1] in tuple("=+-@\t\r\uff1d")]
    assert cell.replace("'", "") == text.replace("\r", "\\r")
    assert number == "-1"

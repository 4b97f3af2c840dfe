"""Text of others in markdown."""

import pytest

from prefect_azure_batch.collecting.markdown import code_block, escaped, table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("a|b", "a\\|b"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("[x](http://y)", "\\[x\\](http\\://y)"),
        ("see www.x.y or a@b", "see www\\.x.y or a\\@b"),
        ("1. a - b + c # d!", "1. a - b + c # d!"),
        ("two\nlines\t", "two lines"),
        ("\x1b[31mred\x00", "\\[31mred"),
        ("back\\slash `code`", "back\\\\slash \\`code\\`"),
    ],
)
def test_escaped(text: str, shown: str) -> None:
    """Nothing in a text is markup, and it stays on one line."""
    assert escaped(text) == shown


def test_long_text_is_cut() -> None:
    """A text without an end does not make a page without one."""
    assert len(escaped("x" * 10_000)) == 300


def test_code_block_cannot_be_left() -> None:
    """Backquotes in the text do not end its block; control characters do not reach the page."""
    lines = code_block("a\n````\n\x1b[0mb").splitlines()

    assert lines == ["`````text", "a", "````", " [0mb", "`````"]


def test_table() -> None:
    """A table has a header, a rule and rows, all of as many cells."""
    assert list(table(("A", "B"), [("x|y", 1)])) == ["| A | B |", "| --- | --- |", "| x\\|y | 1 |"]

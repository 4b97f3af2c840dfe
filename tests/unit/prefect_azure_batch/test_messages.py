"""Pieces of messages."""

import pytest

from prefect_azure_batch.messages import (
    ADVICE,
    advice,
    few,
    indented,
    last_lines,
    said,
    without_sas,
)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b", "c"], "a, b, c"),
        (["a", "b", "c", "d", "e"], "a, b, c and 2 more"),
    ],
)
def test_few_names(names: list[str], text: str) -> None:
    """The first names are shown, and how many more there are."""
    assert few(names, 3) == text


def test_few_names_are_ten() -> None:
    """Without a number ten names are shown."""
    assert few([str(number) for number in range(11)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 1 more"


def test_last_lines() -> None:
    """The end of a log is its last lines, without empty ones behind them."""
    content = "".join(f"line {number}\n" for number in range(30)).encode() + b"\n \n"

    assert last_lines(content, 2) == "line 28\nline 29"
    assert len(last_lines(content).splitlines()) == 20


def test_nothing_in_a_log() -> None:
    """An empty log has no last lines."""
    assert last_lines(b"\n\n") == ""


def test_long_lines_of_a_log_are_cut() -> None:
    """A line without an end does not fill a message."""
    assert last_lines(b"x" * 1000 + b"\nend") == "x" * 300 + "\nend"


def test_log_that_is_not_utf8() -> None:
    """Other bytes are replaced."""
    assert last_lines(b"caf\xe9") == "caf\ufffd"


def test_no_signature_in_last_lines() -> None:
    """A SAS URL in a log loses what makes it work, wherever its line is cut."""
    line = b"x" * 280 + b" ?sig=" + b"SECRET" * 20

    assert "SEC" not in last_lines(line)
    assert without_sas("https://a/b?se=1&SIG=a%2Fb%3D&sp=r") == "https://a/b?se=1&SIG=***&sp=r"


def test_lines_at_the_end_of_a_message() -> None:
    """They are indented and without signatures; nothing is added if there are none."""
    assert indented("one\ntwo ?sig=SECRET\n") == ":\n    one\n    two ?sig=***"
    assert indented(" \n") == ""


def test_advice() -> None:
    """A known code has advice that ends a sentence; any other, and none, has not."""
    assert advice("PoolNotFound") == f"; {ADVICE['PoolNotFound']}"
    assert (advice("Unheard"), advice(None)) == ("", "")


def test_nothing_in_a_log_is_obeyed() -> None:
    """What would move a terminal's cursor, or turn a text around, is shown instead."""
    content = "a\x1b[2Jb\u202ec\x07\n".encode()

    assert last_lines(content) == r"a\x1b[2Jb\u202ec\x07"
    assert indented("\x1b]0;title\x07") == ":\n    \\x1b]0;title\\x07"


@pytest.mark.parametrize(
    ("code", "message", "details", "text"),
    [
        ("DiskFull", "no room", ["at=/mnt"], "DiskFull: no room; at=/mnt"),
        ("DiskFull", None, [], "DiskFull"),
        (None, "no room", [], "no room"),
        (None, None, [], "no reason given"),
        (None, "see https://a/b?sig=abc", [], "see https://a/b?sig=***"),
    ],
)
def test_what_a_service_says(
    code: str | None, message: str | None, details: list[str], text: str
) -> None:
    """What it leaves out is left out, and no signature is shown."""
    assert said(code, message, details) == text

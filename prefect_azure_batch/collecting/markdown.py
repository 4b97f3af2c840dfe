"""Text of others in markdown: names and logs are shown as they are, and never as markup."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

# What is special within a line; `://`, `www.` and `@` would become links.
SPECIAL = re.compile(r"([\\`*_\[\]|~$@]|:(?=//)|(?<=www)\.)")
LONGEST_CELL = 300


def escaped(text: str, longest: int = LONGEST_CELL) -> str:
    """Return a text as one line of markdown that shows it, cut to a readable length."""
    line = " ".join(_printable(text)[:longest].split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return SPECIAL.sub(r"\\\1", line)


def code_block(text: str) -> str:
    """Return lines as a block of code; no backquotes in them can end it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{_printable(text)}\n{fence}"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield the lines of a table; the content of the cells is escaped."""
    yield _row(header)
    yield _row(["---"] * len(header), is_markup=True)
    for row in rows:
        yield _row([str(cell) for cell in row])


def _row(cells: Sequence[str], *, is_markup: bool = False) -> str:
    return f"| {' | '.join(cells if is_markup else map(escaped, cells))} |"


def _printable(text: str) -> str:
    return "".join(
        " " if unicodedata.category(char) in {"Cc", "Cf", "Cs"} and char != "\n" else char
        for char in text
    )

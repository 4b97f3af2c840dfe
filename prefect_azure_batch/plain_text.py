"""Text of others, such as names of files and what programs print, where it must not be obeyed.

Control characters and escapes would move the cursor of a terminal or change what it shows;
bidirectional controls would show a text in another order than it has; and a cell that begins like
a formula would be calculated. Each writer calls one function of these, for all that it writes.
"""

import json
import re

# C0 but tab and line feed, DEL, C1, bidirectional controls, and what stands for bytes that are
# not UTF-8, which no stream takes.
UNSAFE = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
# A program may read a semicolon, too, as the end of a cell.
FORMULA = re.compile("(^|[;\t\n])(?=[=+@\t\uff1d\uff0b\uff0d\uff20-])")


def visible(text: str) -> str:
    r"""Return a text with its unsafe characters as escapes, such as `\x1b`; lines stay lines."""
    return UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """Return a text as `visible` does, on one line."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def csv_cell(value: object) -> object:
    """Return what is written to a cell of a CSV file: numbers as they are, text never a formula."""
    if isinstance(value, int | float):
        return value
    return FORMULA.sub(r"\1'", visible(str(value)))


def json_text(value: object, indent: int | None = None) -> str:
    """Return a value as JSON that is safe to print: what is unsafe is escaped, and nothing lost."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)

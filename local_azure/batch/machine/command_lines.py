"""Command lines into arguments, as a POSIX shell splits them; nothing in them is expanded.

`shlex.split` does the same, in a time that grows with the square of the length of an argument: a
minute for a megabyte.
"""

import errno
import os
import re

# No system that this runs on starts a program with more.
_MOST_CHARACTERS = 2 * 1024 * 1024
_PART = re.compile(
    r"""(?P<blank>[ \t\r\n]+)|(?P<plain>[^ \t\r\n\\'"]+)|\\(?P<escaped>.)"""
    r"""|'(?P<single>[^']*)'|"(?P<double>[^"\\]*(?:\\.[^"\\]*)*)\"""",
    re.DOTALL,
)
# Between double quotes a backslash is one, unless it stands before these.
_ESCAPE = re.compile(r'\\([\\"])')


def split_command(text: str) -> list[str]:
    """Split a command line into its arguments.

    Raises:
        ValueError: a quotation is not closed, or nothing follows a backslash.
        OSError: E2BIG, it is too long for any program.
    """
    if len(text) > _MOST_CHARACTERS:
        raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
    arguments: list[str] = []
    parts: list[str] | None = None
    at = 0
    while at < len(text):
        found = _PART.match(text, at)
        if found is None:
            raise ValueError("No escaped character" if text[at] == "\\" else "No closing quotation")
        at = found.end()
        if found.lastgroup == "blank":
            if parts is not None:
                arguments.append("".join(parts))
            parts = None
        else:
            parts = [] if parts is None else parts
            parts.append(_meaning(found))
    return arguments if parts is None else [*arguments, "".join(parts)]


def _meaning(found: re.Match[str]) -> str:
    part = found[found.lastgroup or 0]
    return _ESCAPE.sub(r"\1", part) if found.lastgroup == "double" else part

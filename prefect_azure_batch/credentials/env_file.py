"""Files of `NAME=value` or `export NAME=value` lines, in any encoding of Unicode."""

import codecs
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values

DOT_ENV = Path(".env")
# The mark of UTF-32 begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ADVICE = "save it as UTF-8 (in PowerShell: Set-Content -Encoding utf8)"


def read_env_file(path: Path) -> dict[str, str]:
    """Return the names that a file gives a value; none if there is no such file.

    Raises:
        ValueError: it is not text; the message names it.
    """
    if not (path.is_file() or path.is_fifo()):
        return {}
    content = path.read_bytes()
    encoding = _encoding_of(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        # Without the bytes: they can be a secret.
        at = f"byte {error.start} cannot be read"
        raise ValueError(f"{str(path)!r} is not {encoding.upper()}: {at}; {_ADVICE}") from None
    if "\0" in text:
        raise ValueError(f"{str(path)!r} has NUL bytes, as UTF-16 without a mark has: {_ADVICE}")
    return {name: value for name, value in dotenv_values(stream=StringIO(text)).items() if value}


def check_dot_env() -> None:
    """Check `.env` of the working directory before Prefect is imported: it reads UTF-8 alone.

    Raises:
        ValueError: it cannot be read, by us or by Prefect; the message names it.
    """
    read_env_file(DOT_ENV)
    if not DOT_ENV.is_file():
        return
    encoding = _encoding_of(DOT_ENV.read_bytes())
    if not encoding.startswith("utf-8"):
        raise ValueError(
            f"{str(DOT_ENV)!r} is {encoding.upper()}: Prefect reads it, too, and cannot; {_ADVICE}"
        )


def _encoding_of(content: bytes) -> str:
    return next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")

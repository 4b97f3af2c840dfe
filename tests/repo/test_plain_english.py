"""English for readers all over the world: ten expressions that only this project had stay out."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repo.test_imports import ROOT

PRIVATE = (
    "told",
    "mend",
    "mends",
    "mended",
    "lives from",
    "goes on with",
    "go on with",
    "stands in",
    "seen from the working directory",
    "is no",
)
"""Say instead: reported, fix, owns, continues, is in, relative to, is not a."""
# "There is no such file" and "is no longer" are everybody's English.
PATTERN = re.compile(
    rf"(?<!there )\b({'|'.join(PRIVATE)})\b(?! longer| more| \w+er than)", re.IGNORECASE
)
CODE = (
    "flows",
    "blocks",
    "prefect_azure_batch",
    "local_azure",
    "tasks_node",
    "benchmarks",
    "tests",
)
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs", "tasks_node", "local_azure")


def sources() -> list[Path]:
    """Return the files of the code."""
    found = (path for folder in CODE for path in (ROOT / folder).rglob("*.py"))
    # This file lists them.
    return sorted(path for path in found if path != Path(__file__))


def pages() -> list[Path]:
    """Return the pages for people."""
    found = (ROOT / name for name in PAGES)
    return sorted(
        page for path in found for page in ([path] if path.is_file() else path.rglob("*.md"))
    )


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Give what a file says to people, line by line: of code its strings and comments."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        # Quotations of code are not prose.
        yield from enumerate(re.sub(r"`[^`\n]*`", "", text).splitlines(), start=1)
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, " ".join(node.value.split())
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#"):
            yield number, line


@pytest.mark.parametrize("path", [*sources(), *pages()], ids=lambda p: str(p.relative_to(ROOT)))
def test_no_private_expressions(path: Path) -> None:
    """Docstrings, errors, texts of the form, comments and pages use the common word."""
    found = [f"{number}: {text}" for number, text in texts(path) if PATTERN.search(text)]

    assert found == []


def test_the_list_is_short() -> None:
    """Ten words are few enough to keep in mind."""
    assert len(PRIVATE) <= 10

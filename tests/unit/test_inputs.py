"""Finding inputs, and naming them."""

from pathlib import Path

import pytest

from flows.errors import BadInput
from flows.inputs import distinct_names, find_inputs, safe_name
from flows.work import InputFile


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with texts and other things, which is the working directory."""
    for name in ("b.txt", "a.txt", ".hidden.txt", "c[1].txt"):
        (tmp_path / name).write_text("text")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0")
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "deep" / "deeper" / "a.txt").write_text("text")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*patterns: str) -> list[str]:
    """Return the names under which the inputs are counted."""
    return [source.name for source in find_inputs(patterns)]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a.txt", ["a.txt"]),
        (".", ["a.txt", "b.txt", "c[1].txt"]),
        ("*.txt", ["a.txt", "b.txt", "c[1].txt"]),
        ("c[1].txt", ["c[1].txt"]),
        (".hidden.txt", [".hidden.txt"]),
        ("**/a.txt", ["a.txt", "a-2.txt"]),
    ],
)
def test_pattern(pattern: str, found: list[str]) -> None:
    """A name is a file first; a folder is its texts; a glob is what it matches, sorted."""
    assert names(pattern) == found


@pytest.mark.usefixtures("folder")
def test_each_file_once() -> None:
    """A file that several patterns name is counted once."""
    assert names("a.txt", "*.txt", "./a.txt") == ["a.txt", "b.txt", "c[1].txt"]


@pytest.mark.usefixtures("folder")
def test_order_is_that_given() -> None:
    """Inputs come in the order of the patterns, which the batch tasks' numbers follow."""
    assert names("b.txt", "a.txt") == ["b.txt", "a.txt"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("pattern", ["deep", "picture.png", "nothing", "*.md", ""])
def test_no_text(pattern: str) -> None:
    """What stands for no text is an error that repeats it."""
    with pytest.raises(BadInput) as raised:
        find_inputs([pattern] if pattern else [])

    assert pattern in str(raised.value)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        (["a.txt", "a.txt", "a.txt"], ["a.txt", "a-2.txt", "a-3.txt"]),
        (["a.txt", "A.TXT"], ["a.txt", "A-2.TXT"]),
        (["a-2.txt", "a.txt", "a.txt"], ["a-2.txt", "a.txt", "a-3.txt"]),
        (["a.txt", "a.txt", "a-2.txt"], ["a.txt", "a-2.txt", "a-2-2.txt"]),
        (["noext", "noext"], ["noext", "noext-2"]),
        (["straße", "STRASSE"], ["straße", "STRASSE-2"]),
    ],
)
def test_distinct_names(given: list[str], made: list[str]) -> None:
    """Names that are equal, letter case aside, are told apart by a number."""
    assert list(distinct_names(given)) == made


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("plain name.txt", "plain name.txt"),
        ("a\nb\x7fc.txt", "a_b_c.txt"),
        ("a/b\\c.txt", "a_b_c.txt"),
        ("not utf-8 \udcff.txt", "not utf-8 _.txt"),
        ("ends with dot.", "ends with dot_"),
        ("žluťoučký 😀", "žluťoučký 😀"),
    ],
)
def test_safe_name(given: str, made: str) -> None:
    """Only what some service or file system refuses is replaced."""
    assert safe_name(given) == made


@pytest.mark.parametrize("given", ["x" * 255, "é" * 120 + ".txt", "x." + "y" * 250])
def test_long_names_are_cut(given: str) -> None:
    """A name leaves room for what is added to it, within 255 bytes."""
    assert len(safe_name(given).encode()) <= 200


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("a.txt", "a_OUTPUT.txt"),
        ("noext", "noext_OUTPUT"),
        ("a.tar.gz", "a.tar_OUTPUT.gz"),
        (".hidden", ".hidden_OUTPUT"),
    ],
)
def test_output_name(name: str, output: str) -> None:
    """The output is called as the node program calls it."""
    assert InputFile(name, 0).output_name == output

"""Names of inputs and outputs."""

import pytest

from prefect_azure_batch.model.names import distinct_names, output_name_of, safe_name


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
    """Names that are equal, letter case aside, get numbers."""
    assert list(distinct_names(given)) == made


def test_reserved_names_are_taken() -> None:
    """A name that belongs to something else gets a number that does not."""
    reserved = {"a.txt", "a-2.txt"}

    found = distinct_names(["a.txt", "b.txt", "a.txt"], reserved.__contains__)

    assert list(found) == ["a-3.txt", "b.txt", "a-4.txt"]


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
    """The output is called as programs on nodes call it."""
    assert output_name_of(name) == output


def test_output_name_with_a_suffix() -> None:
    """A suffix takes the place of the input's own."""
    assert output_name_of("a.tar.gz", ".json") == "a.tar_OUTPUT.json"

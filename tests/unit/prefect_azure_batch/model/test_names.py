"""Names of inputs and outputs."""

import pytest

from prefect_azure_batch.model.names import (
    output_name_of,
    safe_name,
    safe_path,
    unreserved,
    why_too_long,
)


def test_reserved_names_get_numbers() -> None:
    """A name that belongs to something else gets a number that does not."""
    reserved = {"d/a.txt", "d/a-2.txt"}

    assert unreserved("d/a.txt", reserved.__contains__) == "d/a-3.txt"
    assert unreserved("b.txt", reserved.__contains__) == "b.txt"


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("plain name.txt", "plain name.txt"),
        ("a\nb\x7fc.txt", "a%0Ab%7Fc.txt"),
        ("a/b\\c.txt", "a%2Fb%5Cc.txt"),
        ("not utf-8 \udcff.txt", "not utf-8 %FF.txt"),
        ("lone \ud800", "lone %ED%A0%80"),
        ("ends with dot.", "ends with dot%2E"),
        ("ends with space ", "ends with space%20"),
        ("..", ".%2E"),
        ("\ufffe\ufdd0\U0001ffff", "%EF%BF%BE%EF%B7%90%F0%9F%BF%BF"),
        ("\ue000", "%EE%80%80"),
        ("žluťoučký 😀", "žluťoučký 😀"),
    ],
)
def test_safe_name(given: str, made: str) -> None:
    """Only what some service or file system refuses is replaced, by what says what it was."""
    assert safe_name(given) == made


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("a/b/c.txt", "a/b/c.txt"),
        ("/a//b/./c.txt", "a/b/c.txt"),
        ("../../etc/x", ".%2E/.%2E/etc/x"),
        ("v1./a.txt", "v1%2E/a.txt"),
    ],
)
def test_safe_path(given: str, made: str) -> None:
    """Folders stay, and no path leaves the folder that it is put into."""
    assert safe_path(given) == made


@pytest.mark.parametrize("given", ["x" * 255, "é" * 120 + ".txt", "x." + "y" * 250])
def test_long_names_are_cut(given: str) -> None:
    """A name leaves room for what is added to it, within 255 bytes, and stays distinct."""
    assert len(safe_name(given).encode()) <= 200
    assert safe_name(given) != safe_name(f"{given[0]}{given}")
    assert safe_name(given) != safe_name(f"{given[:-1]}z")


@pytest.mark.parametrize(
    ("name", "is_short"),
    [("d/" * 250 + "a", True), ("d/" * 251 + "a", False), ("😀" * 450, True), ("😀" * 451, False)],
)
def test_paths_that_no_blob_can_have(name: str, *, is_short: bool) -> None:
    """Azure takes 254 segments and 1,024 characters, as UTF-16 counts them; outputs need some."""
    assert (not why_too_long(name)) is is_short


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("a.txt", "a_OUTPUT.txt"),
        ("noext", "noext_OUTPUT"),
        ("a.tar.gz", "a.tar_OUTPUT.gz"),
        (".hidden", ".hidden_OUTPUT"),
        ("a.b/c", "a.b/c_OUTPUT"),
    ],
)
def test_output_name(name: str, output: str) -> None:
    """The output is called as programs on nodes call it, in the folders of its input."""
    assert output_name_of(name) == output


def test_output_name_with_a_suffix() -> None:
    """A suffix takes the place of the input's own."""
    assert output_name_of("a.tar.gz", ".json") == "a.tar_OUTPUT.json"

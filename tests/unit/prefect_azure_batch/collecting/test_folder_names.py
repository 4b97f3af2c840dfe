"""What an output folder is called: three placeholders, and nothing else in braces."""

from pathlib import Path

import pytest

from prefect_azure_batch.collecting.folder_names import (
    fixed_part,
    folder_of,
    folder_word,
    placeholders_of,
)
from prefect_azure_batch.errors import ConfigurationError

WORDS = {"run": "tw-1", "name": "a b", "date": "2026-11-29"}


@pytest.mark.parametrize(
    ("output_dir", "folder", "fixed"),
    [
        ("/r", "/r", "/r"),
        ("/r/{run}", "/r/tw-1", "/r"),
        ("/r/{date}/{name}-{run}", "/r/2026-11-29/a b-tw-1", "/r"),
        ("/r/day-{date}", "/r/day-2026-11-29", "/r"),
        ("/r/{run}/{run}/x", "/r/tw-1/tw-1/x", "/r"),
        ("/{run}", "/tw-1", "/"),
        ("{run}", str(Path.cwd() / "tw-1"), str(Path.cwd())),
        ("x{run}", str(Path.cwd() / "xtw-1"), str(Path.cwd())),
    ],
)
def test_placeholders(output_dir: str, folder: str, fixed: str) -> None:
    """Each stands for its word wherever it is; what is above the first one is known before."""
    placeholders_of(output_dir)

    assert str(folder_of(output_dir, WORDS)) == folder
    assert str(fixed_part(output_dir)) == fixed


@pytest.mark.parametrize(
    "output_dir",
    [
        "{}",
        "r/{runs}",
        "r/{RUN}",
        "r/{run",
        "r/run}",
        "{{run}}",
        "{run!r}",
        "{run:>9}",
        "{0}",
        "}{",
    ],
)
def test_other_braces(output_dir: str) -> None:
    """Braces that are not one of the three placeholders are an error that names the three."""
    with pytest.raises(ConfigurationError, match=r"\{run\}.*\{name\}.*\{date\}") as raised:
        placeholders_of(output_dir)
    assert repr(output_dir) in str(raised.value)


@pytest.mark.parametrize("output_dir", ["", " ", "a\0b"])
def test_no_name(output_dir: str) -> None:
    """What cannot be a folder's name is refused."""
    with pytest.raises(ConfigurationError, match="is not a folder's name"):
        placeholders_of(output_dir)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("brave-otter", "brave-otter"),
        ("top 3 words of data/*.txt", "top 3 words of data__.txt"),
        ("Žluť 統計", "Žluť 統計"),
        ("../../etc", "_._.._etc"),
        ("..", "__"),
        ("~root", "_root"),
        ("-rf", "_rf"),
        ("", "_"),
        ("a\nb\x1b[31m", "a_b_[31m"),
        ("C:\\x", "C__x"),
    ],
)
def test_name_of_a_flow_run(name: str, word: str) -> None:
    """Whatever a flow run is called, it is the name of one folder, below the one that it is in."""
    assert folder_word(name) == word
    assert Path("/r", folder_word(name)).resolve().parent == Path("/r")


def test_long_name_of_a_flow_run() -> None:
    """A folder's name has 255 bytes at most."""
    assert len(folder_word("ž" * 1000).encode()) <= 255

"""What is found out on this machine before anything is created."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prefect_azure_batch.engine.preflight import check_clock, prepare_output_dir
from prefect_azure_batch.errors import ConfigurationError

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_folder_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder and those above it are made, relative to the working directory, and left empty."""
    monkeypatch.chdir(tmp_path)

    folder = prepare_output_dir("a/b")

    assert folder == tmp_path / "a" / "b"
    assert list(folder.iterdir()) == []


def test_file_in_the_way(tmp_path: Path) -> None:
    """A file where the folder should be is an error that names it."""
    (tmp_path / "file").touch()

    with pytest.raises(ConfigurationError, match=r"output_dir .*file/out' is not writable"):
        prepare_output_dir(str(tmp_path / "file" / "out"))


@pytest.mark.parametrize("minutes", [-7, 7])
def test_clock_that_is_wrong(minutes: int) -> None:
    """A clock so wrong that SAS URLs would not hold is an error that says by how much."""
    with pytest.raises(ConfigurationError, match=re.escape(f"{60 * minutes:+d} s")):
        check_clock("Sun, 22 Nov 2026 12:00:00 GMT", NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize("date", ["Sun, 22 Nov 2026 12:04:00 GMT", ""])
def test_clock_that_is_right(date: str) -> None:
    """Some minutes are allowed for; an answer without a date says nothing."""
    check_clock(date, NOW)

"""What is found out on this machine before anything is created."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prefect_azure_batch.engine.preflight import check_accelerator, check_program
from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.settings import JobSettings
from prefect_azure_batch.staging.containers import check_clock

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
X86_64 = b"\x7fELF" + bytes(14) + b"\x3e\x00"


def test_the_word_counter_compiles() -> None:
    """The node program of this project is good."""
    check_program(JobSettings(), 5)


def test_syntax_error_is_told_with_its_line(tmp_path: Path) -> None:
    """A program that no Python would run is refused with the line."""
    (tmp_path / "program.py").write_text("import sys\nprint(]\n")

    with pytest.raises(ConfigurationError, match=r"does not compile.*program\.py, line 2"):
        check_program(JobSettings(program=str(tmp_path / "program.py")), 3)


def test_null_bytes_are_no_program(tmp_path: Path) -> None:
    """A file that is no text is refused as well."""
    (tmp_path / "program.py").write_bytes(b"print()\0")

    with pytest.raises(ConfigurationError, match="does not compile"):
        check_program(JobSettings(program=str(tmp_path / "program.py")), 3)


@pytest.mark.parametrize("name", ["heartbeat", "program.sh", "a\nb.py", "a\\b.py"])
def test_name_of_a_program(tmp_path: Path, name: str) -> None:
    """A name that is no blob's, or that another blob has, is refused before it is uploaded."""
    (tmp_path / name).touch()

    with pytest.raises(ConfigurationError, match=r"job\.program .*must end with \.py"):
        check_program(JobSettings(program=str(tmp_path / name)), 3)


def test_warnings_of_a_program_do_not_matter(tmp_path: Path) -> None:
    """What is only doubtful is left to its author."""
    (tmp_path / "program.py").write_text("'\\d' is 3\n")

    check_program(JobSettings(program=str(tmp_path / "program.py")), 3)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("top_words-x86_64.so", b""),
        ("top_words-x86_64.so", b"#!/bin/sh"),
        ("top_words-aarch64.so", X86_64),
    ],
)
def test_wrong_accelerator(tmp_path: Path, name: str, content: bytes) -> None:
    """A library beside the word counter must be for the machine that it is named after."""
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ConfigurationError, match=f"{name}.*make accelerator"):
        check_accelerator(tmp_path / name)


def test_right_accelerator(tmp_path: Path) -> None:
    """The machine stands in the header of the library."""
    path = tmp_path / "program-x86_64.so"
    path.write_bytes(X86_64)

    check_accelerator(path)


@pytest.mark.parametrize("minutes", [-7, 7])
def test_clock_that_is_wrong(minutes: int) -> None:
    """A clock so wrong that SAS URLs would not hold is an error that tells by how much."""
    with pytest.raises(ConfigurationError, match=re.escape(f"{60 * minutes:+d} s")):
        check_clock("Sun, 22 Nov 2026 12:00:00 GMT", NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize("date", ["Sun, 22 Nov 2026 12:04:00 GMT", ""])
def test_clock_that_is_right(date: str) -> None:
    """Some minutes are allowed for; an answer without a date tells nothing."""
    check_clock(date, NOW)

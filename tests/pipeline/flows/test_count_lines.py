"""The example flow: a few lines on the engine."""

import inspect
from pathlib import Path

import pytest

from flows import count_lines as example
from flows.count_lines import count_lines
from tests.support.paths import PROJECT

MOST_LINES = 30


def test_the_example_is_short() -> None:
    """A flow on the engine needs no more than thirty lines."""
    assert len(inspect.getsource(example).splitlines()) <= MOST_LINES


@pytest.mark.usefixtures("prefect_harness", "accounts", "nothing_left")
def test_lines_of_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flow gives the number of lines of all inputs together."""
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "b.txt").write_text("three\n")
    inputs = [str(tmp_path / "*.txt")]
    monkeypatch.chdir(PROJECT)

    assert count_lines(inputs, output_dir=str(tmp_path / "out")) == 3

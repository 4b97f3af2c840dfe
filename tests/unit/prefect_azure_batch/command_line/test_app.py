"""What a command refuses at once, and what it says of an error."""

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.table import Table

from flows.word_count import options
from prefect_azure_batch.command_line import batch_map
from prefect_azure_batch.command_line.app import CommandLine, error_lines
from prefect_azure_batch.command_line.options import (
    BatchTaskOptions,
    NodeOptions,
    RunFlags,
    SelectionOptions,
)
from prefect_azure_batch.errors import ConfigurationError, PipelineError
from prefect_azure_batch.model.run import run_id_of
from prefect_azure_batch.workloads.python_program import PythonProgram


def load_nothing() -> Callable[..., Any]:
    """Fail: no flow is wanted."""
    raise AssertionError("the arguments are not good, and the flow is imported all the same")


def run(folder: Path, flags: RunFlags, suffix: str | None = None, pattern: str = "a.txt") -> None:
    """Run a command with a program and an input of a folder."""
    (folder / "program.py").touch()
    (folder / "a.txt").touch()
    workload = PythonProgram(str(folder / "program.py"), suffix=suffix)
    command = CommandLine(load_nothing, lambda _result, _num: Table())
    command.run(workload, [str(folder / pattern)], {}, BatchTaskOptions().settings, flags)


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (RunFlags(ask=True), "--ask needs a terminal"),
        (RunFlags(nodes=NodeOptions(nodes=0)), "at least one node"),
        (RunFlags(nodes=NodeOptions(vm_size="")), "^vm_size is empty"),
        (RunFlags(nodes=NodeOptions(existing_pool="")), "^existing_pool_id is empty"),
        (RunFlags(nodes=NodeOptions(start_task_command="")), "^start_task_command is empty"),
        (RunFlags(selection=SelectionOptions(include=("",))), r"^include\.0 is empty"),
        (RunFlags(output_dir=""), "^output_dir is empty"),
        (RunFlags(resume=" "), "^resume is empty"),
        (RunFlags(batch_credentials=""), "^batch_credentials is empty"),
        (RunFlags(storage_credentials=""), "^storage_credentials is empty"),
        (RunFlags(local=True, batch_credentials="mine"), "--local brings its own accounts"),
        (RunFlags(local=True, storage_credentials="mine"), "--local brings its own accounts"),
        (RunFlags(local=True, resume=f"tw-{'0' * 32}"), "--local has nothing to resume"),
    ],
)
def test_options_are_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: RunFlags, reason: str
) -> None:
    """No service is started, and Prefect is not imported, for options that cannot work."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(ConfigurationError, match=reason):
        run(tmp_path, flags)


def test_inputs_are_found_before_anything_starts(tmp_path: Path) -> None:
    """A name without a file, and a selection that leaves none, are refused at once."""
    with pytest.raises(ConfigurationError, match="matches no file"):
        run(tmp_path, RunFlags(), pattern="b.txt")
    with pytest.raises(ConfigurationError, match=r"selection\.include"):
        run(tmp_path, RunFlags(selection=SelectionOptions(exclude=("*",))), pattern="*.txt")


def test_workload_is_checked_before_anything_starts(tmp_path: Path) -> None:
    """A program that no node could run is refused at once."""
    with pytest.raises(ConfigurationError, match=r"output_suffix '\.\./x' is not a suffix"):
        run(tmp_path, RunFlags(local=True), suffix="../x")


def test_error_with_its_notes() -> None:
    """An error of ours is its text and its notes."""
    error = PipelineError("no luck")
    error.add_note("kept until tomorrow")

    assert list(error_lines(error)) == ["error: no luck", "kept until tomorrow"]


def test_error_without_words() -> None:
    """An error that says nothing is called by its name."""
    assert list(error_lines(AssertionError())) == ["error: AssertionError"]


def test_lost_server_hides_no_error_of_ours() -> None:
    """Where Prefect's server is lost after an error, both are reported, and how to continue."""
    first = PipelineError("no luck")
    first.add_note("resume=tw-1")
    second = httpx.ConnectError("refused")
    second.__context__ = first

    assert list(error_lines(second)) == [
        "error: Prefect's server (PREFECT_API_URL) could not be reached: refused",
        "after: no luck",
        "resume=tw-1",
    ]


@pytest.mark.parametrize("examples", [batch_map.EXAMPLES, options.EXAMPLES], ids=["map", "words"])
def test_example_of_resume_is_a_valid_one(examples: str) -> None:
    """Who copies an example of the help and puts in their own run is not refused for its form."""
    (name,) = re.findall(r"--resume (\S+)", examples)

    assert run_id_of(name).hex == name.removeprefix("tw-")

"""What the options of the command line stand for."""

from typing import Any

import pytest
from cyclopts import App

from prefect_azure_batch.command_line.app import (
    DEFAULT_BATCH_TASKS,
    DEFAULT_NODES,
    NO_SELECTION,
    checked_settings,
)
from prefect_azure_batch.command_line.options import BatchTaskOptions, NodeOptions, SelectionOptions
from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.settings import JobSettings, PoolSettings, Selection


def parsed(*arguments: str) -> dict[str, Any]:
    """Return the settings that options on a command line stand for."""
    app = App(result_action="return_value")

    @app.default
    def settings(
        selection: SelectionOptions = NO_SELECTION,
        nodes: NodeOptions = DEFAULT_NODES,
        batch_tasks: BatchTaskOptions = DEFAULT_BATCH_TASKS,
    ) -> dict[str, Any]:
        """Take them as the command does."""
        return checked_settings(selection, nodes, batch_tasks)

    found: dict[str, Any] = app(arguments, exit_on_error=False, print_error=False)
    return found


def test_nothing_is_the_defaults_of_the_flow() -> None:
    """Without options the settings are those of a flow without parameters."""
    assert parsed() == {"selection": Selection(), "pool": PoolSettings(), "job": JobSettings()}


@pytest.mark.parametrize(
    ("option", "num_bytes"),
    [("64MiB", 64 * 1024**2), ("1.5GiB", 1536 * 1024**2), ("2097152", 2**21)],
)
def test_sizes(option: str, num_bytes: int) -> None:
    """A size is bytes, or a number with a unit."""
    assert parsed("--split", option)["job"].split_bytes == num_bytes


@pytest.mark.parametrize(("option", "files"), [("auto", "auto"), ("20", 20)])
def test_files_per_batch_task(option: str, files: object) -> None:
    """Files per batch task are a number, or the flow's choice."""
    assert parsed("--files-per-batch-task", option)["job"].files_per_batch_task == files


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [("--split", "much", "no size"), ("--files-per-batch-task", "0", "neither auto nor")],
)
def test_values_that_mean_nothing(option: str, value: str, told: str) -> None:
    """A value that cannot be read is told as it was given."""
    with pytest.raises(Exception, match=rf"'{value}' is {told}"):
        parsed(option, value)


def test_spot_nodes_alone() -> None:
    """Whoever asks for spot nodes only gets no dedicated one."""
    pool = parsed("--spot-nodes", "3")["pool"]

    assert (pool.dedicated_nodes, pool.spot_nodes) == (0, 3)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["--nodes", "0"], "at least one node"), (["--nodes", "9", "--max-nodes", "8"], "max_nodes")],
)
def test_settings_that_cannot_work_together(arguments: list[str], told: str) -> None:
    """They are one sentence, without what a validator says around it."""
    with pytest.raises(ConfigurationError, match=told) as raised:
        parsed(*arguments)

    assert "\n" not in str(raised.value)


def test_arguments_of_a_program_are_its_own() -> None:
    """Each `--arg` is one argument, whatever it looks like; a program is one of this machine."""
    given = ["--lines", "a b", "", "[1, 2]", "--nodes", 'it\'s "$HOME"\n', "--", "-", "žluť"]
    job = parsed("--program", "mine.py", *(f"--arg={argument}" for argument in given))["job"]
    apart = parsed("--program", "mine.py", "--arg", "--lines", "--arg", "3")["job"]

    assert (job.program, job.program_arguments) == ("mine.py", tuple(given))
    assert apart.program_arguments == ("--lines", "3")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--program", "p.py", "--total"], r"^total: for the word counter only.*p\.py"),
        (["--program", "p.py", "--split", "1MiB", "--delay", "1"], "^split_bytes and delay_s: for"),
        (["--program", "p.py", "--files-per-batch-task", "auto"], "files_per_batch_task: for"),
        (["--arg", "x"], "program_arguments and output_suffix are for a program"),
        (["--output-suffix", ".x"], "program_arguments and output_suffix are for a program"),
        (["--program", "p.py", "--output-suffix", "../x"], "output_suffix '../x' is none"),
        (["--program", "p.py", "--arg", "a\0b"], "program_arguments: .*NUL"),
        (["--program", "p.py", "--arg", "\udcff"], "program_arguments: .*nothing but UTF-8"),
        (["--program", "p.py", "--output-suffix", ""], "output_suffix '' is none"),
        (["--program", "p.py", "--arg", "x" * 8193], "program_arguments have 8193 bytes"),
        (["--program", "p.py", "--arg", "'" * 8000], "program_arguments have 1360.. bytes, quoted"),
        (["--program", "p.py", *["--arg="] * 800], "program_arguments have 88.. bytes, quoted"),
    ],
)
def test_what_a_program_cannot_have(arguments: list[str], told: str) -> None:
    """A setting that would be ignored, or could not work, is named."""
    with pytest.raises(ConfigurationError, match=told):
        parsed(*arguments)


def test_patterns_can_be_repeated() -> None:
    """Every pattern given counts."""
    selection = parsed("--include", "*.txt", "--include", "*.md", "--exclude", "x*")["selection"]

    assert selection == Selection(include=("*.txt", "*.md"), exclude=("x*",))

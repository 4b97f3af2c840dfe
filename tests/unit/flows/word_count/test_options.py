"""What the options of `top-words` stand for, and the table that it prints."""

import re

import pytest
from cyclopts import App

from flows.word_count.options import CountOptions, command, result_table
from flows.word_count.result import Result, WordCounts
from flows.word_count.settings import CountSettings
from flows.word_count.workload import WordCount
from prefect_azure_batch.command_line.app import checked
from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.model.result import OutputRow
from prefect_azure_batch.workloads.python_program import PythonProgram

DEFAULTS = CountOptions()


def options(*arguments: str) -> CountOptions:
    """Return the options on a command line."""
    command = App(result_action="return_value")

    @command.default
    def given(batch_tasks: CountOptions = DEFAULTS) -> CountOptions:
        """Take them as the command does."""
        return batch_tasks

    found: CountOptions = command(arguments, exit_on_error=False, print_error=False)
    return found


def parsed(*arguments: str) -> CountSettings:
    """Return the settings that options on a command line stand for."""
    settings = checked(options(*arguments).settings)
    assert isinstance(settings, CountSettings)
    return settings


def test_nothing_is_the_defaults_of_the_flow() -> None:
    """Without options the settings are those of a flow without parameters."""
    assert parsed() == CountSettings()
    assert options().workload() == WordCount()


@pytest.mark.parametrize(
    ("option", "num_bytes"),
    [("64MiB", 64 * 1024**2), ("1.5GiB", 1536 * 1024**2), ("2097152", 2**21)],
)
def test_sizes(option: str, num_bytes: int) -> None:
    """A size is bytes, or a number with a unit."""
    assert parsed("--split", option).split_bytes == num_bytes


@pytest.mark.parametrize(("option", "files"), [("auto", "auto"), ("20", 20)])
def test_files_per_batch_task(option: str, files: object) -> None:
    """Files per batch task are a number, or the flow's choice."""
    assert parsed("--files-per-batch-task", option).files_per_batch_task == files


def test_options_of_every_command() -> None:
    """They stand beside those of counting."""
    given = ["--retries", "3", "--job-limit-s", "60", "--keep-all-logs", "--total", "--delay", "2"]
    given += ["--encoding", "Windows-1252", "--on-undecodable", "refuse"]

    assert parsed(*given) == CountSettings(
        max_task_retry_count=3,
        max_wall_clock_time_s=60,
        keep_all_logs=True,
        total=True,
        delay_s=2,
        encoding="cp1252",
        on_undecodable="refuse",
    )
    assert options(*given).workload() == WordCount(settings=CountSettings(encoding="cp1252"))


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--split", "much", "not a size"),
        ("--files-per-batch-task", "0", "neither auto nor"),
        ("--encoding", "klingon", "not one that Python reads"),
    ],
)
def test_values_that_mean_nothing(option: str, value: str, reason: str) -> None:
    """A value that cannot be read is repeated as it was given."""
    with pytest.raises(Exception, match=rf"'{value}' is {reason}"):
        parsed(option, value)


def test_arguments_of_a_program_are_its_own() -> None:
    """Each `--arg` is one argument, whatever it looks like; a program is one of this machine."""
    given = ["--lines", "a b", "", "[1, 2]", "--nodes", 'it\'s "$HOME"\n', "--", "-", "žluť"]
    arguments = [f"--arg={argument}" for argument in given]
    job = parsed("--program", "mine.py", *arguments)
    apart = parsed("--program", "mine.py", "--arg", "--lines", "--arg", "3")

    assert (job.program, job.program_arguments) == ("mine.py", tuple(given))
    assert apart.program_arguments == ("--lines", "3")
    workload = options("--program", "mine.py", *arguments, "--output-suffix", ".x").workload()
    assert workload == PythonProgram("mine.py", tuple(given), ".x")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--program", "p.py", "--total"], r"^total: for the word counter only.*p\.py"),
        (["--program", "p.py", "--split", "1MiB", "--delay", "1"], "^split_bytes and delay_s: for"),
        (["--program", "p.py", "--files-per-batch-task", "auto"], "files_per_batch_task: for"),
        (["--arg", "x"], "program_arguments and output_suffix are for a program"),
        (["--output-suffix", ".x"], "program_arguments and output_suffix are for a program"),
    ],
)
def test_what_a_program_cannot_have(arguments: list[str], reason: str) -> None:
    """A setting that would be ignored is named."""
    with pytest.raises(ConfigurationError, match=reason):
        parsed(*arguments)


def printed(result: Result, num_inputs: int) -> list[str]:
    """Return the cells of a result's table, row by row."""
    table = result_table(result, num_inputs)
    columns = [[str(cell) for cell in column.cells] for column in table.columns]
    return [" ".join(row) for row in zip(*columns, strict=True)]


def test_table_of_words() -> None:
    """The total comes first, then the first inputs; names are not markup."""
    result = Result(
        {"[b].txt": [("the", 2)], "c.txt": [("a", 1)]},
        [("the", 2)],
        sources={"[b].txt": "in/[b].txt"},
    )

    assert printed(result, 1) == ["(all inputs) the 2 ", r"\[b].txt the 2 in/\[b].txt"]


def test_table_with_undecodable_bytes() -> None:
    """Each row has their number, if any input has some; the total has all of them."""
    words: dict[str, WordCounts] = {"b.txt": [("a", 2)], "c.txt": [], "d.txt": [("x", 1)]}
    result = Result(
        words, [("a", 2)], undecodable={"b.txt": 3, "c.txt": 4}, sources={"d.txt": "in/d.txt"}
    )

    assert printed(result, 3) == [
        "(all inputs) a 2 7 ",
        "b.txt a 2 3 ",
        "c.txt (no words) 0 4 ",
        "d.txt x 1 0 in/d.txt",
    ]


def test_nothing_in_a_table_is_obeyed() -> None:
    """Names and words are shown with escapes for what a terminal would obey."""
    name = "a\x1b[2J\n.txt"
    result = Result({name: [("x\u202e\x9b", 1)]}, sources={name: f"[b]/{name}"})

    assert printed(result, 1) == [
        r"a\x1b[2J\n.txt x\u202e\x9b 1 \[b]/a\x1b[2J\n.txt",
    ]


def test_table_of_outputs() -> None:
    """A program of the user's own has outputs instead."""
    rows = {name: OutputRow(f"/in/{name}", name, f"/out/{name}_OUTPUT", 5) for name in ("a", "b")}

    assert printed(Result({}, outputs=rows), 1) == ["a a_OUTPUT 5 /out /in/a"]


def test_groups_of_the_help_are_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    """Accounts, nodes and batch tasks come before what only some people need."""
    command(lambda: print)(["--help"], result_action="return_value")

    titles = re.findall(r"^╭─ (.+?) ─+╮$", capsys.readouterr().out, re.MULTILINE)
    assert titles[-4:] == [
        "Accounts",
        "Nodes",
        "Batch tasks",
        "Your own program, instead of the word counter",
    ]

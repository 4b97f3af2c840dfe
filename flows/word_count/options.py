"""The options of `top-words`, and the table of its words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Group, Parameter, Token
from cyclopts.validators import Number
from pydantic import ByteSize, TypeAdapter, ValidationError
from rich.table import Table

from flows.word_count.encodings import UTF_8, encoding_named
from flows.word_count.result import Result
from flows.word_count.settings import DEFAULT_NUM_WORDS, CountSettings, check_num_words
from flows.word_count.workload import WordCount
from prefect_azure_batch import (
    BatchTaskOptions,
    CommandLine,
    Outputs,
    PythonProgram,
    RunFlags,
    Workload,
    table_of,
)

# Equal to the group of the options that every command has: the help shows one.
BATCH_TASKS = Group("Batch tasks", sort_key=3)
OWN_PROGRAM = Group("Your own program, instead of the word counter", sort_key=4)
EXAMPLES = """    top-words --local data/*.txt                          without any account
    top-words texts --files-per-batch-task auto --total   thousands of small files
    top-words az://texts/2026 --plan                      what it would create
    top-words texts --resume tw-0123456789abcdef0123456789abcdef
    top-words texts --json | jq .total                    for programs"""


def size_of(_type: Any, tokens: Sequence[Token]) -> int:
    """Read a size such as `64MiB` or `1048576` as bytes.

    Raises:
        ValueError: it is not one.
    """
    text = tokens[0].value
    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError as error:
        raise ValueError(
            f"{text!r} is not a size: give bytes, or a number and KiB, MiB ..."
        ) from error


def files_of(_type: Any, tokens: Sequence[Token]) -> int | str:
    """Read a number of files, or `auto`.

    Raises:
        ValueError: it is neither.
    """
    text = tokens[0].value
    if text == "auto":
        return text
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise ValueError(f"{text!r} is neither auto nor a number of files")


def encoding_of(_type: Any, tokens: Sequence[Token]) -> str:
    """Read the name of an encoding.

    Raises:
        ValueError: it is not one.
    """
    return encoding_named(tokens[0].value)


@Parameter(name="*", group=BATCH_TASKS)
@dataclass(frozen=True)
class CountOptions(BatchTaskOptions):
    """The batch tasks.

    Attributes:
        retries: More runs of a program that failed.
        job_limit_s: End the job after this many seconds.
        keep_all_logs: Keep stdout and stderr of every batch task, not only of failed ones.
        files_per_batch_task: Count this many files in one batch task, or `auto`.
        split: Count inputs larger than this in parts side by side, such as 256MiB.
        total: Also find the most frequent words of all inputs together.
        delay: Seconds that each batch task waits before it works.
        encoding: Of all texts, such as cp1252, shift_jis or utf-16; default: UTF-8.
        on_undecodable: Bytes that cannot be decoded: warn of them, or refuse the input.
        program: Goes with the next version: use batch-map. Python file run as
            `python3 PROGRAM [ARG ...] INPUT OUTPUT` for each input.
        arg: An argument for it, as it is; repeatable.
        output_suffix: What its outputs end with, such as .json; default: as their inputs do.
    """

    files_per_batch_task: Annotated[
        Literal["auto"] | int, Parameter(converter=files_of, n_tokens=1)
    ] = 1
    split: Annotated[int | None, Parameter(converter=size_of, n_tokens=1)] = None
    total: Annotated[bool, Parameter(negative=())] = False
    delay: Annotated[float, Parameter(validator=Number(gte=0))] = 0
    encoding: Annotated[str, Parameter(converter=encoding_of, n_tokens=1)] = UTF_8
    on_undecodable: Literal["warn", "refuse"] = "warn"
    program: Annotated[Path | None, Parameter(group=OWN_PROGRAM)] = None
    # What begins with a hyphen is the program's, not ours.
    arg: Annotated[
        tuple[str, ...], Parameter(group=OWN_PROGRAM, negative=(), allow_leading_hyphen=True)
    ] = ()
    output_suffix: Annotated[str | None, Parameter(group=OWN_PROGRAM)] = None

    def settings(self) -> CountSettings:
        """Return what they stand for.

        Raises:
            ValidationError: one of them is out of bounds, or they cannot work together.
        """
        return CountSettings(
            **super().settings().model_dump(exclude_unset=True),
            files_per_batch_task=self.files_per_batch_task,
            split_bytes=self.split,
            total=self.total,
            delay_s=self.delay,
            encoding=self.encoding,
            on_undecodable=self.on_undecodable,
            program=None if self.program is None else str(self.program),
            program_arguments=self.arg,
            output_suffix=self.output_suffix,
        )

    def workload(self, num_words: int = DEFAULT_NUM_WORDS) -> Workload[Any]:
        """Return what runs: the word counter, or a program of the user's own.

        Args:
            num_words: for the word counter only.

        Raises:
            ConfigurationError: it is given with a program.
        """
        check_num_words(num_words, self.program)
        if self.program is None:
            return WordCount(settings=CountSettings(encoding=self.encoding))
        return PythonProgram(str(self.program), self.arg, self.output_suffix)


DEFAULT_FLAGS = RunFlags()
DEFAULT_BATCH_TASKS = CountOptions()


def command(load_flow: Callable[[], Callable[..., Any]]) -> App:
    """Return the command `top-words`.

    Args:
        load_flow: imports the flow; called when the arguments are known to be good.
    """
    app = CommandLine.app(
        "top-words",
        "Print the most frequent words of files, counted on Azure Batch.",
        "[OPTIONS] INPUTS...",
        EXAMPLES,
    )
    line = CommandLine(load_flow, result_table)

    @app.default
    def count(
        *inputs: str,
        num_words: Annotated[int, Parameter(validator=Number(gte=1))] = DEFAULT_NUM_WORDS,
        flags: RunFlags = DEFAULT_FLAGS,
        batch_tasks: CountOptions = DEFAULT_BATCH_TASKS,
    ) -> None:
        """Print the most frequent words of files, counted on Azure Batch.

        Args:
            inputs: Files, folders (their texts; all for a program of your own) and globs; blobs
                as `az://container/prefix`.
            num_words: How many words of each file.
            flags: How it is run.
            batch_tasks: The batch tasks.
        """
        parameters = {"num_words": num_words}
        line.run(batch_tasks.workload(num_words), inputs, parameters, batch_tasks.settings, flags)

    return app


def result_table(result: Result, num_inputs: int) -> Table:
    """Return one row for each input and word, or for each output of a program of one's own."""
    if result.outputs:
        outputs = Outputs(tuple(result.outputs.values()))
        return table_of(outputs.page_columns(), outputs.page_rows(num_inputs))
    return table_of(result.table_columns(), result.table_rows(num_inputs))

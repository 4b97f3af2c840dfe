"""The options of the command line in groups, and the settings that they stand for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter, Token
from cyclopts.validators import Number
from pydantic import ByteSize, TypeAdapter, ValidationError

from prefect_azure_batch.settings import JobSettings, PoolSettings, Selection

NODES = Group("Nodes", sort_key=2)
BATCH_TASKS = Group("Batch tasks", sort_key=3)
OWN_PROGRAM = Group("Your own program, instead of the word counter", sort_key=4)


def size_of(_type: Any, tokens: Sequence[Token]) -> int:
    """Read a size such as `64MiB` or `1048576` as bytes.

    Raises:
        ValueError: it is none.
    """
    text = tokens[0].value
    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError as error:
        raise ValueError(
            f"{text!r} is no size: give bytes, or a number and KiB, MiB ..."
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


@Parameter(name="*", group=NODES)
@dataclass(frozen=True)
class NodeOptions:
    """The nodes.

    Attributes:
        nodes: How many dedicated nodes; default: one, or none if there are spot nodes.
        spot_nodes: How many cheaper nodes, which Azure may take away at any time.
        max_nodes: Refuse to ask for more nodes than this.
        vm_size: Their size.
        task_slots: Batch tasks at once on a node.
        existing_pool: Use this pool and never delete it.
        start_task_command: Bash command that each node runs first.
        price: Price of a node per hour, in any currency, for the reports.
    """

    nodes: Annotated[int | None, Parameter(validator=Number(gte=0))] = None
    spot_nodes: Annotated[int, Parameter(validator=Number(gte=0))] = 0
    max_nodes: Annotated[int, Parameter(validator=Number(gte=1))] = 100
    vm_size: str = "standard_d2s_v5"
    task_slots: Annotated[int, Parameter(validator=Number(gte=1, lte=256))] = 4
    existing_pool: str | None = None
    start_task_command: str | None = None
    price: Annotated[float | None, Parameter(validator=Number(gte=0))] = None

    def settings(self) -> PoolSettings:
        """Return what they stand for.

        Raises:
            ValidationError: they cannot work together.
        """
        default = 0 if self.spot_nodes else 1
        return PoolSettings(
            existing_pool_id=self.existing_pool,
            vm_size=self.vm_size,
            dedicated_nodes=default if self.nodes is None else self.nodes,
            spot_nodes=self.spot_nodes,
            max_nodes=self.max_nodes,
            task_slots_per_node=self.task_slots,
            start_task_command=self.start_task_command,
            node_price_per_hour=self.price,
        )


@Parameter(name="*", group=BATCH_TASKS)
@dataclass(frozen=True)
class BatchTaskOptions:
    """The batch tasks.

    Attributes:
        files_per_batch_task: Count this many files in one batch task, or `auto`.
        split: Count inputs larger than this in parts side by side, such as 256MiB.
        total: Also find the most frequent words of all inputs together.
        retries: More runs of a program that failed.
        job_limit_s: End the job after this many seconds.
        keep_all_logs: Keep stdout and stderr of every batch task, not only of failed ones.
        delay: Seconds that each batch task waits before it works.
        program: Python file run as `python3 PROGRAM [ARG ...] INPUT OUTPUT` for each input.
        arg: An argument for it, as it is; repeatable.
        output_suffix: What its outputs end with, such as .json; default: as their inputs do.
    """

    files_per_batch_task: Annotated[
        Literal["auto"] | int, Parameter(converter=files_of, n_tokens=1)
    ] = 1
    split: Annotated[int | None, Parameter(converter=size_of, n_tokens=1)] = None
    total: Annotated[bool, Parameter(negative=())] = False
    retries: Annotated[int, Parameter(validator=Number(gte=0))] = 1
    job_limit_s: Annotated[int, Parameter(validator=Number(gte=1))] = 7200
    keep_all_logs: Annotated[bool, Parameter(negative=())] = False
    delay: Annotated[float, Parameter(validator=Number(gte=0))] = 0
    program: Annotated[Path | None, Parameter(group=OWN_PROGRAM)] = None
    # What begins with a hyphen is the program's, not ours.
    arg: Annotated[
        tuple[str, ...], Parameter(group=OWN_PROGRAM, negative=(), allow_leading_hyphen=True)
    ] = ()
    output_suffix: Annotated[str | None, Parameter(group=OWN_PROGRAM)] = None

    def settings(self) -> JobSettings:
        """Return what they stand for.

        Raises:
            ValidationError: one of them is out of bounds, or they cannot work together.
        """
        return JobSettings(
            program=None if self.program is None else str(self.program),
            program_arguments=self.arg,
            output_suffix=self.output_suffix,
            files_per_batch_task=self.files_per_batch_task,
            split_bytes=self.split,
            total=self.total,
            max_task_retry_count=self.retries,
            max_wall_clock_time_s=self.job_limit_s,
            keep_all_logs=self.keep_all_logs,
            delay_s=self.delay,
        )


@Parameter(name="*")
@dataclass(frozen=True)
class SelectionOptions:
    """Which files are counted.

    Attributes:
        include: Of folders and prefixes, only files that match such a pattern; repeatable.
        exclude: Leave out files that match such a pattern; repeatable.
    """

    include: Annotated[tuple[str, ...], Parameter(negative=())] = ()
    exclude: Annotated[tuple[str, ...], Parameter(negative=())] = ()

    def settings(self) -> Selection:
        """Return what they stand for."""
        return Selection(include=self.include, exclude=self.exclude)

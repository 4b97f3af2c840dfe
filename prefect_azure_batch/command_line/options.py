"""The options that every command has, in groups, and the settings that they stand for."""

from dataclasses import dataclass, field
from typing import Annotated

from cyclopts import Group, Parameter
from cyclopts.validators import Number

from prefect_azure_batch.settings import JobSettings, PoolSettings, Selection

ACCOUNTS = Group("Accounts", sort_key=1)
NODES = Group("Nodes", sort_key=2)
BATCH_TASKS = Group("Batch tasks", sort_key=3)


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
        retries: More runs of a program that failed.
        job_limit_s: End the job after this many seconds.
        keep_all_logs: Keep stdout and stderr of every batch task, not only of failed ones.
    """

    retries: Annotated[int, Parameter(validator=Number(gte=0))] = 1
    job_limit_s: Annotated[int, Parameter(validator=Number(gte=1))] = 7200
    keep_all_logs: Annotated[bool, Parameter(negative=())] = False

    def settings(self) -> JobSettings:
        """Return what they stand for.

        Raises:
            ValidationError: one of them is out of bounds, or they cannot work together.
        """
        return JobSettings(
            max_task_retry_count=self.retries,
            max_wall_clock_time_s=self.job_limit_s,
            keep_all_logs=self.keep_all_logs,
        )


@Parameter(name="*")
@dataclass(frozen=True)
class SelectionOptions:
    """Which files are worked on.

    Attributes:
        include: Of folders and prefixes, only files that match such a pattern; repeatable.
        exclude: Leave out files that match such a pattern; repeatable.
    """

    include: Annotated[tuple[str, ...], Parameter(negative=())] = ()
    exclude: Annotated[tuple[str, ...], Parameter(negative=())] = ()

    def settings(self) -> Selection:
        """Return what they stand for."""
        return Selection(include=self.include, exclude=self.exclude)


@Parameter(name="*")
@dataclass(frozen=True)
class RunFlags:
    """How a command runs its flow.

    Attributes:
        output_dir: Folder for outputs and logs, for one run at a time; may contain {run}, {name}
            and {date}.
        root: Keep in names of outputs the folders below this one; default: those below the folder,
            prefix or glob that is given.
        selection: Which files are worked on.
        inputs_from: Read more inputs from a file, or - for standard input: one a line, or with NULs
            after them as `find -print0` writes.
        plan: Say what would be created and what it could cost, and stop.
        resume: Continue a run that failed or died: its name `tw-...` or its flow run's id.
        ask: When the outputs are here, ask whether to delete job and pool; Enter means yes.
        as_json: Print the result, or the plan, as JSON instead of a table.
        local: Start Azure Batch and Blob Storage on this machine, and use them.
        batch_credentials: Saved block of the Batch account; default: environment, then .env.
        storage_credentials: Saved block of the storage account; default: environment, then .env.
        nodes: The nodes.
    """

    output_dir: str = "results"
    root: str | None = None
    selection: SelectionOptions = field(default_factory=SelectionOptions)
    inputs_from: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    plan: Annotated[bool, Parameter(negative=())] = False
    resume: str | None = None
    ask: Annotated[bool, Parameter(negative=())] = False
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False
    local: Annotated[bool, Parameter(negative=(), group=ACCOUNTS)] = False
    batch_credentials: Annotated[str | None, Parameter(group=ACCOUNTS)] = None
    storage_credentials: Annotated[str | None, Parameter(group=ACCOUNTS)] = None
    nodes: NodeOptions = field(default_factory=NodeOptions)

"""Parameters of the flow as frozen models; Prefect shows them as a form: titles, units, bounds."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from prefect_azure_batch.errors import ConfigurationError

# The service gives up a batch task after 180 days.
Seconds = Annotated[int, Field(ge=1, le=180 * 24 * 3600)]
Pattern = Annotated[str, Field(min_length=1)]
# In the order in which people are asked.
QUESTIONED = ("job", "pool", "containers")


class Settings(BaseModel):
    """A group of parameters: frozen, and closed, so that a misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Selection(Settings):
    """Which files of folders and which blobs of prefixes are worked on."""

    include: tuple[Pattern, ...] = Field(
        default=(),
        title="Include",
        description="Patterns such as `*.txt`; a file must match one. None: every file.",
    )
    exclude: tuple[Pattern, ...] = Field(
        default=(), title="Exclude", description="Patterns; a file that matches one is left out."
    )


class PoolSettings(Settings):
    """The nodes."""

    existing_pool_id: str | None = Field(
        default=None,
        title="Existing pool",
        description="Use this pool and never delete it; the settings of nodes below are its own.",
        min_length=1,
    )
    vm_size: str = Field(
        default="standard_d2s_v5",
        title="VM size",
        description="Azure's name of the kind of machine that each node is.",
        min_length=1,
    )
    dedicated_nodes: int = Field(
        default=1, title="Dedicated nodes", ge=0, description="How many nodes the pool gets."
    )
    spot_nodes: int = Field(
        default=0,
        title="Spot nodes",
        ge=0,
        description="How many cheaper nodes the pool gets, which Azure may take away at any time.",
    )
    max_nodes: int = Field(
        default=100,
        title="Most nodes",
        ge=1,
        description="A run that asks for more is refused; an autoscale formula gets no more.",
    )
    autoscale_formula: str | None = Field(
        default=None,
        title="Autoscale formula",
        description="Azure's formula for the number of nodes, instead of fixed numbers.",
        min_length=1,
    )
    dead_mans_switch: bool = Field(
        default=False,
        title="Dead man's switch",
        description="Azure itself takes the nodes away when no batch task is left.",
    )
    node_price_per_hour: float | None = Field(
        default=None,
        title="Price of a node per hour",
        ge=0,
        allow_inf_nan=False,
        description="In any currency; given, reports say what the nodes cost.",
    )
    image_publisher: str = Field(
        default="canonical",
        title="Image publisher",
        description="Who publishes the operating system's image; Python 3 must be in it.",
        min_length=1,
    )
    image_offer: str = Field(
        default="ubuntu-24_04-lts",
        title="Image offer",
        description="What the publisher calls the operating system.",
        min_length=1,
    )
    image_sku: str = Field(
        default="server", title="Image SKU", description="Which edition of it.", min_length=1
    )
    task_slots_per_node: int = Field(
        default=4,
        title="Task slots per node",
        ge=1,
        le=256,
        description="Batch tasks at once on a node.",
    )
    allocation_timeout_s: Seconds = Field(
        default=900,
        title="Allocation timeout (s)",
        description="Seconds until the first node must be ready; the service gets 300 or more.",
    )
    start_task_command: str | None = Field(
        default=None,
        title="Extra start-task command",
        description="Bash command run on each node after the node program is in place.",
        min_length=1,
    )
    start_task_retries: int = Field(
        default=1,
        title="Start-task retries",
        ge=0,
        description="More tries of a failing start task.",
    )

    @model_validator(mode="after")
    def _check_nodes(self) -> Self:
        asked = self.dedicated_nodes + self.spot_nodes
        if asked == 0 and not (self.autoscale_formula or self.existing_pool_id):
            raise ValueError("dedicated_nodes and spot_nodes are both 0: ask for at least one node")
        if asked > self.max_nodes and not self.existing_pool_id:
            raise ValueError(f"{asked} nodes are asked for, max_nodes is {self.max_nodes}")
        return self


class JobSettings(Settings):
    """The batch tasks."""

    max_task_retry_count: int = Field(
        default=1,
        title="Batch task retries",
        ge=0,
        description="More runs of a program that fails.",
    )
    priority: int = Field(
        default=0,
        title="Priority",
        ge=-1000,
        le=1000,
        description="Batch tasks of a job with a higher one go first.",
    )
    preparation_command: str | None = Field(
        default=None,
        title="Job preparation command",
        description="Bash command that each node runs before its first batch task of the job.",
        min_length=1,
    )
    release_command: str | None = Field(
        default=None,
        title="Job release command",
        description="Bash command that each node runs when the job has ended.",
        min_length=1,
    )
    keep_all_logs: bool = Field(
        default=False,
        title="Keep all logs",
        description="Keep stdout and stderr of every batch task, not only of failed ones.",
    )
    batch_task_max_wall_clock_time_s: Seconds = Field(
        default=1800,
        title="Batch task limit (s)",
        description="A batch task is killed after this time.",
    )
    max_wall_clock_time_s: Seconds = Field(
        default=7200,
        title="Job limit (s)",
        description="The job is ended after this time, nodes included.",
    )
    retention_time_s: Seconds = Field(
        default=86400,
        title="Retention (s)",
        description="How long a node keeps a batch task's files.",
    )
    submission_timeout_s: Seconds = Field(
        default=900,
        title="Submission timeout (s)",
        description="Seconds until the service must have taken the batch tasks of one level.",
    )
    poll_interval_s: float = Field(
        default=5.0,
        title="Poll interval (s)",
        gt=0,
        description="Longest time between two looks; they begin close together.",
    )


class Policy(StrEnum):
    """When a resource is deleted; after a cancellation only `never` keeps it.

    Attributes:
        ALWAYS: whatever happened.
        ON_SUCCESS: unless the run failed.
        NEVER: not at the end; what is kept is waste after `keep_s`.
        ASK: a person says it after a success; after any other ending it is as by default.
    """

    ALWAYS = "always"
    ON_SUCCESS = "on_success"
    NEVER = "never"
    ASK = "ask"


class Outcome(StrEnum):
    """How a run ended, as far as its resources are concerned."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class CleanUpPolicy(Settings):
    """What is deleted at the end of a run; whatever is kept is deleted after `keep_s`."""

    containers: Policy = Field(
        default=Policy.ON_SUCCESS,
        title="Delete containers",
        description="They hold inputs, outputs and logs: what a failed run can be resumed from.",
    )
    job: Policy = Field(
        default=Policy.ON_SUCCESS,
        title="Delete job",
        description="One that is kept is ended first; it shows which batch tasks failed, and how.",
    )
    pool: Policy = Field(
        default=Policy.ALWAYS, title="Delete pool", description="Its nodes cost money."
    )
    keep_s: Seconds = Field(
        default=86400, title="Keep (s)", description="Longest time that anything kept may stay."
    )
    ask_timeout_s: Seconds = Field(
        default=3600,
        title="Time for an answer (s)",
        description="Where a person is asked: without an answer for so long, all is deleted.",
    )
    heartbeat_limit_s: Seconds = Field(
        default=600,
        title="Heartbeat limit (s)",
        description="A run whose heartbeat is older counts as dead; ten are written in that time.",
    )
    timeout_s: Seconds = Field(
        default=1800,
        title="Timeout (s)",
        description="Seconds to wait until everything is really gone; a pool can take minutes.",
    )

    @property
    def questions(self) -> tuple[str, ...]:
        """The kinds of resources about which a person is asked: `job`, `pool`, `containers`."""
        return tuple(kind for kind in QUESTIONED if getattr(self, kind) is Policy.ASK)

    def answered(self, deletes: Mapping[str, bool]) -> Self:
        """Return the policy without questions.

        Args:
            deletes: what a person said, by kind; without an answer it is as by default.
        """
        said = {
            kind: _told(deletes[kind]) if kind in deletes else _default_of(self, kind)
            for kind in self.questions
        }
        return self.model_copy(update=said)

    def deletes(self, policy: Policy, outcome: Outcome) -> bool:
        """Tell whether a resource of this policy, which asks nobody, is deleted after that."""
        return policy is Policy.ALWAYS or (
            policy is Policy.ON_SUCCESS and outcome is not Outcome.FAILED
        )


def _default_of(settings: Settings, name: str) -> object:
    return type(settings).model_fields[name].default


def _told(is_deleted: bool) -> Policy:  # noqa: FBT001 - an answer
    return Policy.ALWAYS if is_deleted else Policy.NEVER


def refuse_empty(**given: object) -> None:
    """Check options that are no settings: an unset variable of a shell is not a choice.

    Args:
        given: by the names that they have for people.

    Raises:
        ConfigurationError: one is an empty text; names it.
    """
    for name, value in given.items():
        if isinstance(value, str) and not value.strip():
            raise ConfigurationError(f"{name} is empty: give a value, or leave it out")


def minutes_at_least(seconds: int, minimum: int) -> timedelta:
    """Return a duration that is no shorter than the service accepts.

    Args:
        seconds: the duration asked for.
        minimum: the shortest that the service takes, in minutes.
    """
    return max(timedelta(seconds=seconds), timedelta(minutes=minimum))

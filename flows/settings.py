"""Parameters of the flow as frozen models; Prefect shows them as a form: titles, units, bounds."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# The service gives up a batch task after 180 days.
Seconds = Annotated[int, Field(ge=1, le=180 * 24 * 3600)]


class Settings(BaseModel):
    """A group of parameters: frozen, and closed, so that a misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PoolSettings(Settings):
    """The nodes."""

    vm_size: str = Field(default="standard_d2s_v5", title="VM size", min_length=1)
    dedicated_nodes: int = Field(
        default=1, title="Dedicated nodes", ge=1, description="How many nodes the pool gets."
    )
    image_publisher: str = Field(default="canonical", title="Image publisher")
    image_offer: str = Field(default="ubuntu-24_04-lts", title="Image offer")
    image_sku: str = Field(default="server", title="Image SKU")
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
        description="Seconds until the first node must be ready; the service is told 300 or more.",
    )
    start_task_command: str | None = Field(
        default=None,
        title="Extra start-task command",
        description="Bash command run on each node after the node program is in place.",
    )
    start_task_retries: int = Field(
        default=1,
        title="Start-task retries",
        ge=0,
        description="More tries of a failing start task.",
    )


class JobSettings(Settings):
    """The batch tasks."""

    node_program: str = Field(
        default="tasks_node/top_words.py",
        title="Node program",
        description="Python file run on the nodes; a relative path starts at the project's folder.",
        min_length=1,
    )
    delay_s: float = Field(
        default=0,
        title="Delay (s)",
        ge=0,
        description="Seconds each batch task waits, to simulate work.",
    )
    max_task_retry_count: int = Field(
        default=1,
        title="Batch task retries",
        ge=0,
        description="More runs of a failing node program.",
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
    poll_interval_s: float = Field(
        default=5.0,
        title="Poll interval (s)",
        gt=0,
        description="Longest time between two looks; they begin close together.",
    )


class Policy(StrEnum):
    """When a resource is deleted; a cancelled run counts as none to keep things for."""

    ALWAYS = "always"
    ON_SUCCESS = "on_success"
    NEVER = "never"


class Outcome(StrEnum):
    """How a run ended, as far as its resources are concerned."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class CleanUpPolicy(Settings):
    """What is deleted at the end."""

    containers: Policy = Field(default=Policy.ALWAYS, title="Delete containers")
    job: Policy = Field(default=Policy.ALWAYS, title="Delete job")
    pool: Policy = Field(default=Policy.ALWAYS, title="Delete pool")
    keep_s: Seconds = Field(
        default=86400, title="Keep (s)", description="Longest time that anything kept may stay."
    )
    timeout_s: Seconds = Field(
        default=1800,
        title="Timeout (s)",
        description="Seconds to wait until everything is really gone; a pool can take minutes.",
    )

    def deletes(self, policy: Policy, outcome: Outcome) -> bool:
        """Tell whether a resource of this policy is deleted after such an outcome."""
        return policy is Policy.ALWAYS or (
            policy is Policy.ON_SUCCESS and outcome is not Outcome.FAILED
        )


def minutes_at_least(seconds: int, minimum: int) -> timedelta:
    """Return a duration that is no shorter than the service accepts.

    Args:
        seconds: the duration asked for.
        minimum: the shortest that the service takes, in minutes.
    """
    return max(timedelta(seconds=seconds), timedelta(minutes=minimum))

"""What a run's resources are called and marked with; pure, so that anything can be found again."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, Settings

MARK = "batch-top-words"
PREFIX = "tw-"
HEARTBEAT_BLOB = "heartbeat"
# More than any run has.
EVERY_ATTEMPT = 999_999
# Before and after the job, beside the uploads.
AROUND_JOB = timedelta(minutes=30)
# Two megabits a second: slower lines cannot carry the work.
SLOWEST_UPLOAD_BYTES_PER_S = 250_000


class Run(Settings):
    """One flow run's names and times; it holds no secret, so Prefect may store it.

    Attributes:
        flow_run_id: 32 hexadecimal digits.
        attempt: counts the pools and jobs of a run, from 1; 0 before the first.
        started: when the run began, UTC.
        deadline: the latest moment at which its batch tasks can still work, UTC.
        delete_after: when whatever is left of it is waste, UTC.
        existing_pool_id: the pool that it works on but does not own; None: it makes its own.
        heartbeat_limit_s: after so many seconds without a heartbeat it counts as dead.
    """

    flow_run_id: str
    attempt: int
    started: datetime
    deadline: datetime
    delete_after: datetime
    existing_pool_id: str | None = None
    heartbeat_limit_s: float

    @property
    def name(self) -> str:
        """The common beginning of all names of the run (35 characters)."""
        return f"{PREFIX}{self.flow_run_id}"

    @property
    def pool_id(self) -> str:
        """The pool that this attempt works on: its own, or the existing one."""
        return self.existing_pool_id or self.job_id

    @property
    def job_id(self) -> str:
        """The job of this attempt."""
        return f"{self.name}-{self.attempt}"

    @property
    def application_container(self) -> str:
        """Holds the node program and the heartbeat."""
        return f"{self.name}-application"

    @property
    def input_container(self) -> str:
        """Holds the inputs."""
        return f"{self.name}-input"

    @property
    def output_container(self) -> str:
        """Holds outputs and logs."""
        return f"{self.name}-output"

    @property
    def containers(self) -> tuple[str, str, str]:
        """All containers of the run."""
        return (self.application_container, self.input_container, self.output_container)

    @property
    def metadata(self) -> dict[str, str]:
        """The marks that every resource bears; keys are C# identifiers, as blobs demand."""
        return {
            "created_by": MARK,
            "flow_run_id": self.flow_run_id,
            "heartbeat": f"{self.application_container}/{HEARTBEAT_BLOB}",
            "heartbeat_limit_s": f"{self.heartbeat_limit_s:g}",
            "delete_after": self.delete_after.isoformat(timespec="seconds"),
        }

    def owns(self, metadata: Mapping[str, str]) -> bool:
        """Tell whether a resource with these marks is this run's."""
        marks = ("created_by", "flow_run_id")
        return all(metadata.get(mark) == self.metadata[mark] for mark in marks)

    def in_attempt(self, attempt: int) -> "Run":
        """Return the run with the names of another attempt."""
        return self.model_copy(update={"attempt": attempt})

    def on_pool(self, existing_pool_id: str | None) -> "Run":
        """Return the run as it works on an existing pool; None: on its own."""
        return self.model_copy(update={"existing_pool_id": existing_pool_id})

    def has_opened(self, resource_id: str) -> bool:
        """Tell whether a pool or job id is of this attempt or of one before it."""
        number = resource_id.removeprefix(f"{self.name}-")
        return number.isdecimal() and int(number) <= self.attempt


def new_run(
    flow_run_id: UUID,
    attempt: int,
    job: JobSettings,
    clean_up: CleanUpPolicy,
    num_bytes: int = 0,
) -> Run:
    """Name a run that begins now.

    Args:
        flow_run_id: whose resources; a resumed run's are those of the one that it resumes.
        attempt: the number of its pool and job.
        job: the longest time of the job.
        clean_up: the longest times of the clean-up, and of what is kept.
        num_bytes: to be uploaded; the time for it is that of a slow line.
    """
    started = datetime.now(UTC)
    upload_s = num_bytes / SLOWEST_UPLOAD_BYTES_PER_S
    deadline = started + timedelta(seconds=job.max_wall_clock_time_s + upload_s) + AROUND_JOB
    return Run(
        flow_run_id=flow_run_id.hex,
        attempt=attempt,
        started=started,
        deadline=deadline,
        delete_after=deadline + timedelta(seconds=clean_up.timeout_s + clean_up.keep_s),
        heartbeat_limit_s=clean_up.heartbeat_limit_s,
    )


def run_id_of(text: str, parameter: str = "resume") -> UUID:
    """Return the id that a person gives a run by: a flow run id, or a run's name.

    Args:
        text: such as `tw-<32 hexadecimal digits>`, with or without hyphens and prefix.
        parameter: what it was given as, for the error.

    Raises:
        ConfigurationError: it is neither.
    """
    try:
        return UUID(text.strip().removeprefix(PREFIX))
    except ValueError as error:
        raise ConfigurationError(
            f"{parameter}={text!r} names no run: give a flow run id, or {PREFIX} and 32 hex digits"
        ) from error

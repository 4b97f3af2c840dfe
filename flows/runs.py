"""What a run's resources are called and marked with; pure, so that anything can be found again."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from flows.settings import CleanUpPolicy, JobSettings, Settings

MARK = "batch-top-words"
HEARTBEAT_LIMIT_S = 600
# Uploading before the job, downloading after it.
AROUND_JOB = timedelta(minutes=30)


class Run(Settings):
    """One flow run's names and times; it holds no secret, so Prefect may store it.

    Attributes:
        flow_run_id: 32 hexadecimal digits.
        attempt: counts the pools and jobs of a run, from 1.
        started: when the run began, UTC.
        deadline: the latest moment at which its batch tasks can still work, UTC.
        delete_after: when whatever is left of it is waste, UTC.
    """

    flow_run_id: str
    attempt: int
    started: datetime
    deadline: datetime
    delete_after: datetime

    @property
    def name(self) -> str:
        """The common beginning of all names of the run (35 characters)."""
        return f"tw-{self.flow_run_id}"

    @property
    def pool_id(self) -> str:
        """The pool of this attempt."""
        return f"{self.name}-{self.attempt}"

    @property
    def job_id(self) -> str:
        """The job of this attempt."""
        return self.pool_id

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
            "heartbeat": f"{self.application_container}/heartbeat",
            "heartbeat_limit_s": str(HEARTBEAT_LIMIT_S),
            "delete_after": self.delete_after.isoformat(timespec="seconds"),
        }

    def owns(self, metadata: dict[str, str]) -> bool:
        """Tell whether a resource with these marks is this run's."""
        marks = ("created_by", "flow_run_id")
        return all(metadata.get(mark) == self.metadata[mark] for mark in marks)


def new_run(flow_run_id: UUID, attempt: int, job: JobSettings, clean_up: CleanUpPolicy) -> Run:
    """Name a run that begins now."""
    started = datetime.now(UTC)
    deadline = started + timedelta(seconds=job.max_wall_clock_time_s) + AROUND_JOB
    return Run(
        flow_run_id=flow_run_id.hex,
        attempt=attempt,
        started=started,
        deadline=deadline,
        delete_after=deadline + timedelta(seconds=clean_up.timeout_s + clean_up.keep_s),
    )

"""Names and marks of a run."""

import re
from datetime import timedelta
from uuid import UUID

import pytest

from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.model.run import (
    AROUND_JOB,
    SLOWEST_UPLOAD_BYTES_PER_S,
    Run,
    new_run,
    run_id_of,
)
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings

RUN_ID = UUID("0123456789abcdef0123456789abcdef")


@pytest.fixture
def run() -> Run:
    """A run in its second attempt."""
    job = JobSettings(max_wall_clock_time_s=100)
    return new_run(RUN_ID, 2, job, CleanUpPolicy(timeout_s=10, keep_s=1000, heartbeat_limit_s=30))


def test_names_begin_with_the_run(run: Run) -> None:
    """Containers belong to the run, pool and job to its attempt."""
    assert run.containers == tuple(
        f"tw-{RUN_ID.hex}-{end}" for end in ("application", "input", "output")
    )
    assert run.pool_id == run.job_id == f"tw-{RUN_ID.hex}-2"


def test_names_are_within_the_services_limits(run: Run) -> None:
    """Containers have at most 63 characters, pools and jobs at most 64."""
    assert all(re.fullmatch(r"[a-z0-9-]{3,63}", name) for name in run.containers)
    assert len(run.pool_id) <= 64


def test_marks(run: Run) -> None:
    """Every resource says whose it is, where the heartbeat is, and when it is waste."""
    assert run.metadata == {
        "created_by": "batch-top-words",
        "flow_run_id": RUN_ID.hex,
        "heartbeat": f"tw-{RUN_ID.hex}-application/heartbeat",
        "heartbeat_limit_s": "30",
        "delete_after": run.delete_after.isoformat(timespec="seconds"),
    }


def test_keys_are_identifiers(run: Run) -> None:
    """Blob metadata takes only names that are C# identifiers."""
    assert all(key.isidentifier() for key in run.metadata)


def test_waste_after_the_longest_run_and_keeping(run: Run) -> None:
    """`delete_after` is the longest time of run and clean-up, plus that of keeping anything."""
    assert run.deadline - run.started == timedelta(seconds=100) + AROUND_JOB
    assert run.delete_after - run.deadline == timedelta(seconds=10 + 1000)


@pytest.mark.parametrize("mark", ["created_by", "flow_run_id"])
def test_only_its_own_marks_make_a_resource_its_own(run: Run, mark: str) -> None:
    """A resource of another run or of another project is not the run's."""
    assert run.owns(run.metadata)
    assert not run.owns(run.metadata | {mark: "other"})
    assert not run.owns({})


def test_uploads_take_their_time() -> None:
    """What is uploaded moves the deadline by the time that a slow line takes."""
    num_bytes = 100 * SLOWEST_UPLOAD_BYTES_PER_S
    run = new_run(RUN_ID, 1, JobSettings(max_wall_clock_time_s=50), CleanUpPolicy(), num_bytes)

    assert run.deadline - run.started == timedelta(seconds=50 + 100) + AROUND_JOB


def test_another_attempt_has_other_names(run: Run) -> None:
    """Pool and job of an attempt have its number, and nothing else of the run changes."""
    other = run.in_attempt(3)

    assert other.job_id == other.pool_id == f"tw-{RUN_ID.hex}-3"
    assert other.containers == run.containers
    assert other.metadata == run.metadata


@pytest.mark.parametrize(
    ("end", "is_opened"),
    [("-1", True), ("-2", True), ("-3", False), ("-input", False), ("", False)],
)
def test_which_attempts_it_has_opened(run: Run, end: str, is_opened: bool) -> None:  # noqa: FBT001 - a table
    """Pools and jobs of this attempt and those before it are the run's; later ones are not."""
    assert run.has_opened(f"tw-{RUN_ID.hex}{end}") is is_opened


@pytest.mark.parametrize("text", [RUN_ID.hex, str(RUN_ID), f"tw-{RUN_ID.hex}", f" {RUN_ID} "])
def test_what_people_call_a_run(text: str) -> None:
    """A run is given by its flow run's id, with or without hyphens, or by its name."""
    assert run_id_of(text) == RUN_ID


def test_what_names_no_run() -> None:
    """What is not an id is refused, with what an id looks like."""
    with pytest.raises(ConfigurationError, match=r"resume='yesterday'.*flow run id"):
        run_id_of("yesterday")

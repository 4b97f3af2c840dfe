"""What Prefect hears of the watch: events by resource, progress, nothing that drowns the rest."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.events.schemas.events import Event
from prefect.runtime import flow_run

from prefect_azure_batch.model.result import Ending
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.ownership.deletion import KindsToDelete, delete_leftovers
from prefect_azure_batch.running.events import VISIBLE
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import RunContext
from tests.support.pipeline.watched import Watched, a_watched, events_of, until_seen, wait_for_event

pytestmark = pytest.mark.usefixtures("prefect_harness")


@flow(name="watch")
def watch_in_flow(watched: Watched) -> tuple[dict[str, Ending], str]:
    """Watch as a part of a flow run; return the endings and the flow run's id."""
    return watched.wait(), str(flow_run.id)


def ids(event: Event) -> dict[str, str]:
    """Return the ids of an event's related resources by their roles."""
    return {resource.role: resource.id for resource in event.related}


def test_transitions_are_events_with_resources(
    controlled_services: Services, tmp_path: Path
) -> None:
    """Pool, nodes, job and batch tasks have ids of their own, and name each other and the run."""
    watched = a_watched(controlled_services)

    with until_seen(tmp_path, "running") as script:
        watched.add(script, "exit 3")
        _, flow_run_id = watch_in_flow(watched)

    pool_id, job_id = watched.run.pool_id, watched.run.job_id
    failed = wait_for_event(watched.run, "azure-batch.task.failed")
    assert failed.resource.id == f"azure-batch.task.{job_id}.topNtask1"
    assert failed.payload["exit_code"] == 3
    assert failed.payload["reason"].startswith("FailureExitCode")
    assert failed.payload["inputs"] == ["1.txt"]
    related = ids(failed)
    assert related["pool"] == f"azure-batch.pool.{pool_id}"
    assert related["job"] == f"azure-batch.job.{job_id}"
    assert related["flow-run"] == f"prefect.flow-run.{flow_run_id}"
    names = Counter(event.event for event in events_of(watched.run))
    assert names["azure-batch.job.active"] == names["azure-batch.pool.steady"] == 1
    assert names["azure-batch.task.completed"] == 1
    assert names["azure-batch.job.progress"] >= 1
    assert any(name.startswith("azure-batch.node.") for name in names)


def test_creation_is_reported(services: Services, make_run: Callable[[], Run]) -> None:
    """The events of a pool and a job begin with their creation."""
    run = make_run()

    for kind in ("pool", "job"):
        event = wait_for_event(run, f"azure-batch.{kind}.created")
        assert event.resource.id == f"azure-batch.{kind}.{run.pool_id}"

    delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60)


def test_progress_artifact_ends_at_the_whole(controlled_services: Services) -> None:
    """The artifact's last state is 100 %, with the numbers beside it."""
    watched = a_watched(controlled_services)
    watched.add("sleep 0.3")

    _, flow_run_id = watch_in_flow(watched)

    of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(flow_run_id)]))
    with get_client(sync_client=True) as client:
        (artifact,) = client.read_artifacts(artifact_filter=of_run)
    assert artifact.key == "top-words-progress"
    assert artifact.data == 100.0
    assert "1 of 1 batch tasks completed" in str(artifact.description)


def test_many_batch_tasks_do_not_drown_the_events(controlled_services: Services) -> None:
    """With more than a few dozen, one by one only failures are reported, and not all of them."""
    watched = a_watched(controlled_services, task_slots_per_node=4)
    watched.add(*["true"] * 10, *["exit 1"] * (VISIBLE + 5))

    watched.wait()

    wait_for_event(watched.run, "azure-batch.job.progress", is_last)
    names = Counter(event.event for event in events_of(watched.run))
    assert names["azure-batch.task.failed"] == VISIBLE
    assert not any(names[f"azure-batch.task.{state}"] for state in ("active", "completed"))
    assert names["azure-batch.job.progress"] <= 4


def is_last(event: Event) -> bool:
    """Return whether an event reports the end of all."""
    return bool(event.payload["completed"] == event.payload["total"])


def test_events_hold_no_signature(controlled_services: Services) -> None:
    """What a service repeats of a URL is reported without the signature."""
    watched = a_watched(
        controlled_services, start="echo 'https://h/c?sv=1&sig=c2VjcmV0' >&2; exit 1"
    )
    watched.add("true")

    with pytest.raises(Exception, match="the start task failed") as raised:
        watched.wait()

    assert "c2VjcmV0" not in str(raised.value)
    wait_for_event(watched.run, "azure-batch.node.starttaskfailed")
    with get_client(sync_client=True) as client:
        artifacts = client.read_artifacts()
    assert "c2VjcmV0" not in f"{artifacts}{events_of(watched.run)}"

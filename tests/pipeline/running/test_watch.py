"""The watch over batch tasks: each ending is found once, at a cost that does not grow."""

from collections import Counter
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from azure.batch import BatchClient
from azure.batch.models import BatchTaskConstraints
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import SansIOHTTPPolicy

from local_azure.batch.controls.faults import Kind, Rule
from local_azure.client import Control
from local_azure.stack import LocalAzure
from prefect_azure_batch.errors import BatchTasksTimedOut, HeartbeatLost, JobEnded, ServiceError
from prefect_azure_batch.running import watch
from prefect_azure_batch.running.progress import Progress, on_progress
from prefect_azure_batch.running.watch import wait_for_batch_tasks
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.settings import JobSettings
from tests.support.contexts import a_context
from tests.support.emulator.builders import terminate_job
from tests.support.pipeline.watched import Watched, a_watched, planned
from tests.support.processes import wait_until

pytestmark = pytest.mark.usefixtures("prefect_harness")


class Counting(SansIOHTTPPolicy[Any, Any]):
    """Counts the requests of each look, which begins with the job, and lets them pass."""

    def __init__(self) -> None:
        self.looks: list[Counter[str]] = []

    def on_request(self, request: PipelineRequest[Any]) -> None:
        """Count a request by the last word of its path."""
        folder, _, noun = urlsplit(request.http_request.url).path.rpartition("/")
        if folder == "/jobs":
            self.looks.append(Counter())
        self.looks[-1]["one" if folder in {"/jobs", "/pools"} else noun] += 1


def test_each_ending_is_reported_once(controlled_services: Services) -> None:
    """Successes and failures are reported as they come, and returned in the order of the plan."""
    watched = a_watched(controlled_services, task_slots_per_node=2)
    once = BatchTaskConstraints(max_task_retry_count=1)
    watched.add("sleep 0.5", "exit 3", "true", constraints=once)

    endings = watched.wait()

    assert [*endings] == ["topNtask0", "topNtask1", "topNtask2"]
    assert Counter(name for name, _ in watched.said) == Counter([*endings])
    assert [ending.succeeded for ending in endings.values()] == [True, False, True]
    failed = endings["topNtask1"]
    assert (failed.exit_code, failed.category, failed.code) == (3, "usererror", "FailureExitCode")
    assert failed.num_retries == 1
    assert endings["topNtask0"].run_time_s >= 0.5


def test_batch_tasks_of_another_level_are_left_alone(controlled_services: Services) -> None:
    """Only what is planned is reported, though the job has more that has ended."""
    watched = a_watched(controlled_services)
    watched.add("true", "exit 1")
    watched.wait()
    watched.tasks.clear()
    watched.said.clear()
    controlled_services.batch.delete_task(watched.run.job_id, "topNtask0")
    watched.add("true")

    endings = watched.wait()

    assert [*endings] == ["topNtask0"]
    assert len(watched.said) == 1


def test_deleted_batch_task_is_reported_as_such(controlled_services: Services) -> None:
    """A batch task that somebody deleted has failed, and the others continue."""
    watched = a_watched(controlled_services)
    watched.add("true")
    watched.tasks.append(planned(7))

    endings = watched.wait()

    assert endings["topNtask0"].succeeded
    assert "deleted" in endings["topNtask7"].reason
    assert [name for name, _ in watched.said] == ["topNtask0", "topNtask7"]


def test_ending_that_did_not_last_is_reported_again(controlled_services: Services) -> None:
    """A batch task that is activated again while others run ends a second time."""
    watched = a_watched(controlled_services, task_slots_per_node=2)
    watched.add("exit 4", "sleep 2")
    batch, job_id = controlled_services.batch, watched.run.job_id
    wait_until(lambda: batch.get_task(job_id, "topNtask0").state == "completed")
    batch.reactivate_task(job_id, "topNtask0")

    endings = watched.wait()

    assert endings["topNtask0"].exit_code == 4
    assert {name for name, _ in watched.said} == {"topNtask0", "topNtask1"}


def looks_at(azure: LocalAzure, services: Services, num_tasks: int) -> list[Counter[str]]:
    """Watch so many batch tasks and return the calls of each look."""
    counting, given = Counting(), azure.environment
    key = AzureNamedKeyCredential(given["AZURE_BATCH_ACCOUNT"], given["AZURE_BATCH_ACCESS_KEY"])
    watched = a_watched(services, task_slots_per_node=2)
    # Both slots are taken for a while, so that some looks find nothing new.
    watched.add("sleep 1.5", "sleep 1.5", *["true"] * (num_tasks - 2))
    with BatchClient(azure.batch_url, key, per_call_policies=[counting]) as batch:
        counted = Watched(Services(batch, services.blobs), watched.run, watched.tasks)
        assert len(counted.wait()) == num_tasks
    return counting.looks


def test_cost_of_a_look_does_not_grow(
    controlled_azure: LocalAzure, controlled_services: Services
) -> None:
    """A look at 300 batch tasks takes no more calls than one at 3: four, and what has changed."""
    few = looks_at(controlled_azure, controlled_services, 3)
    many = looks_at(controlled_azure, controlled_services, 300)

    for looks in (few, many):
        quiet = Counter({"one": 2, "taskcounts": 1, "nodecounts": 1})
        assert quiet in looks
        assert max(look["tasks"] for look in looks[:-1]) == 1
        assert max(look.total() for look in looks) <= quiet.total() + 3


def test_refusals_and_lost_answers_are_waited_out(
    controlled_services: Services, control: Control
) -> None:
    """Busy services and broken connections cost time, not the run."""
    watched = a_watched(controlled_services)
    # Longer than all pauses together.
    watched.add("sleep 8", "exit 1")
    for rule in (
        Rule(kind=Kind.ERROR, operation="get_job_task_counts", first=2, status=429),
        Rule(kind=Kind.ERROR, operation="list_tasks", first=2, status=503),
        Rule(kind=Kind.ERROR, operation="list_nodes", first=1, status=500),
        Rule(kind=Kind.LOST, operation="get_pool", first=1),
    ):
        control.add_fault(rule)

    endings = watched.wait()

    assert [ending.succeeded for ending in endings.values()] == [True, False]
    assert [name for name, _ in watched.said] == [*endings]
    assert sum(fault["hits"] for fault in control.faults()) == 6


def test_refusal_for_good_ends_the_watch(controlled_services: Services, control: Control) -> None:
    """What will never be answered is not asked for again."""
    watched = a_watched(controlled_services)
    watched.add("sleep 60")
    rule = Rule(kind=Kind.ERROR, operation="get_pool", status=403, code="AuthenticationFailed")
    control.add_fault(rule)

    with pytest.raises(ServiceError, match="AuthenticationFailed"):
        watched.wait()

    control.clear_faults()


def test_job_that_ended_names_few_of_its_batch_tasks(controlled_services: Services) -> None:
    """The error says why the job ended, and names ten batch tasks and the number of the others."""
    watched = a_watched(controlled_services)
    watched.add("true", *["sleep 60"] * 13)
    terminate_job(controlled_services.batch, watched.run.job_id, "had enough")

    with pytest.raises(JobEnded, match=r"had enough.*topNtask\d.* and [1-4] more") as raised:
        watched.wait()

    assert len(raised.value.pending) >= 10


def test_job_that_is_never_done_times_out(
    controlled_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the service does not end a job that takes too long, the watch does."""
    monkeypatch.setattr(watch, "GRACE_S", 0)
    watched = a_watched(controlled_services)
    watched.add("sleep 60")
    job = JobSettings(poll_interval_s=0.1, max_wall_clock_time_s=1)

    with pytest.raises(BatchTasksTimedOut, match=r"topNtask0.*max_wall_clock_time_s"):
        watched.wait(job=job)


def test_watch_stops_when_the_run_must(controlled_services: Services) -> None:
    """Each turn begins with the question whether the run may continue."""
    watched = a_watched(controlled_services)
    watched.add("sleep 60")
    turns = iter(range(3))

    def check() -> None:
        """Let two turns pass."""
        if next(turns) == 2:
            raise HeartbeatLost("tw-1", "gone")

    watched.services = replace(controlled_services, guard=check)

    with pytest.raises(HeartbeatLost):
        watched.wait()


def test_progress_is_heard(controlled_services: Services) -> None:
    """Who listens hears of each step, from nothing to everything."""
    heard: list[Progress] = []
    token = on_progress.set(heard.append)
    watched = a_watched(controlled_services)
    watched.add("sleep 0.3", "exit 1")

    watched.wait()

    on_progress.reset(token)
    assert heard[0].completed == 0
    last = heard[-1]
    assert (last.total, last.completed, last.failed, last.percent) == (2, 2, 1, 100.0)
    assert "2 of 2 batch tasks completed, 1 of them failed" in str(last)
    assert any(progress.running and progress.nodes.get("running") for progress in heard)


def test_error_of_the_callee_ends_the_watch(controlled_services: Services) -> None:
    """What the callee raises is not lost."""
    watched = a_watched(controlled_services)
    watched.add("true")

    def refuse(*_: object) -> None:
        """Refuse."""
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        wait_for_batch_tasks(a_context(controlled_services, watched.run), watched.tasks, refuse)

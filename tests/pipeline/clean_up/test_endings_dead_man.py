"""The dead man's switch on the emulator: what it costs at the start, and what it saves."""

import math
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from uuid import uuid4

import pytest

from blocks import AzureBatchCredentials, AzureStorageCredentials
from local_azure.client import Control
from local_azure.stack import LocalAzure
from prefect_azure_batch.model.run import Run, new_run
from prefect_azure_batch.running.job import create_job, end_job_with_last_task
from prefect_azure_batch.running.pool import check_image, create_pool, take_nodes_away
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import RunContext
from prefect_azure_batch.service.refusals import lowered
from prefect_azure_batch.service.specs import AUTOSCALE_INTERVAL
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings
from prefect_azure_batch.staging.containers import create_containers, upload_files
from tests.support.contexts import a_context
from tests.support.emulator.builders import sh, task_options
from tests.support.processes import wait_until

pytestmark = pytest.mark.usefixtures("prefect_harness")

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
# A job's limit is over, and what follows from it, too.
EVENTFUL_S = 4 * HOUR_S
JOB = JobSettings(max_wall_clock_time_s=7200)
Abandoned = Callable[..., Run]
LEFT = {
    "no batch task": "",
    "a batch task that ends": "true",
    "a batch task that hangs": "sleep 600",
}
TITLE = (
    f"{'node-seconds of one dead run':<30} {'switch':<8}"
    f"{'at job limit':>14}{'after a day':>14}{'delete_after':>14}"
)


@pytest.fixture
def own_azure() -> Iterator[LocalAzure]:
    """A pair of services for one test: a clock that was moved on does not go back."""
    with LocalAzure(control=True) as stack:
        yield stack


@pytest.fixture
def control(own_azure: LocalAzure) -> Control:
    """The control endpoints of that pair."""
    return Control(own_azure.batch_url)


@pytest.fixture
def own_services(own_azure: LocalAzure) -> Iterator[Services]:
    """The clients of that pair."""
    environment = dict(own_azure.environment)
    with (
        AzureBatchCredentials.from_environment(environment).get_client() as batch,
        AzureStorageCredentials.from_environment(environment).get_client() as blobs,
    ):
        yield Services(batch, blobs)


@pytest.fixture
def abandoned(own_services: Services) -> Abandoned:
    """Make a run of one node with a job, of which nobody takes care any more."""

    def make(*, dead_mans_switch: bool) -> Run:
        """Create containers, pool and job, and wait for the node."""
        pool = PoolSettings(dead_mans_switch=dead_mans_switch, allocation_timeout_s=300)
        run = new_run(uuid4(), 1, JOB, CleanUpPolicy())
        image = check_image(own_services, pool)
        context = a_context(own_services, run, pool=pool, node_agent=image, job=JOB)
        create_containers(context)
        upload_files(context)
        create_pool(context)
        create_job(context)
        wait_until(lambda: states_of(own_services, run) == ["idle"], 60)
        return run

    return make


def states_of(services: Services, run: Run) -> list[str]:
    """Return the states of the nodes."""
    return [lowered(node.state) for node in services.batch.list_nodes(run.pool_id)]


def billed_s(control: Control, run: Run) -> float:
    """Return the node-seconds of a run."""
    return control.node_seconds()[run.pool_id]["dedicated"]


@pytest.mark.parametrize(
    ("dead_mans_switch", "least_h", "most_h"), [(True, 0, 0.5), (False, 23.9, 24.1)]
)
def test_a_day_after_everything_died(
    control: Control,
    abandoned: Abandoned,
    dead_mans_switch: bool,  # noqa: FBT001 - a table
    least_h: float,
    most_h: float,
) -> None:
    """Without the switch a pool that nobody deletes costs a node for ever; with it, half an hour.

    A job that has no batch tasks does not hold the nodes.
    """
    run = abandoned(dead_mans_switch=dead_mans_switch)

    # A node goes in real time, so the first hour is gone through slowly.
    for _ in range(12):
        control.advance_clock(HOUR_S / 12)
        control.wait_until_idle()
    control.advance_clock(23 * HOUR_S)

    assert least_h * HOUR_S <= billed_s(control, run) <= most_h * HOUR_S


def test_nodes_stay_while_there_is_work(
    control: Control, own_services: Services, abandoned: Abandoned
) -> None:
    """A batch task that works longer than the beginning of a pool keeps its node."""
    run = abandoned(dead_mans_switch=True)
    own_services.batch.create_task(run.job_id, task_options(sh("sleep 600")))
    wait_until(lambda: states_of(own_services, run) == ["running"], 60)

    control.advance_clock(1.5 * HOUR_S)

    assert states_of(own_services, run) == ["running"]


def test_job_limit_frees_the_nodes(
    control: Control, own_services: Services, abandoned: Abandoned
) -> None:
    """A batch task that hangs is ended by the limit of the job, and then the node goes, too."""
    run = abandoned(dead_mans_switch=True)
    own_services.batch.create_task(run.job_id, task_options(sh("sleep 600")))
    wait_until(lambda: states_of(own_services, run) == ["running"], 60)

    control.advance_clock(2 * HOUR_S)
    control.wait_until_idle()
    control.advance_clock(0.25 * HOUR_S)

    wait_until(lambda: states_of(own_services, run) == [], 60)


def pass_time(control: Control, passed_s: float, until_s: float) -> None:
    """Move the clock on; slowly in the first hours, for a node goes in real time."""
    while passed_s < until_s:
        step_s = min(HOUR_S / 12 if passed_s < EVENTFUL_S else HOUR_S, until_s - passed_s)
        control.advance_clock(step_s)
        wait_until(lambda: is_at_rest(control), 60)
        passed_s += step_s


def is_at_rest(control: Control) -> bool:
    """Tell whether no node comes or goes."""
    state = control.state()
    nodes = {node["state"] for node in state["nodes"]}
    return nodes <= {"idle", "running"} and state["pools"][0]["allocation"] == "steady"


@pytest.mark.endings
@pytest.mark.parametrize("dead_mans_switch", [True, False])
@pytest.mark.parametrize("left", LEFT)
def test_bill_of_what_nobody_deletes(  # noqa: PLR0913, PLR0917 - fixtures
    control: Control,
    own_services: Services,
    abandoned: Abandoned,
    record_property: Callable[[str, object], None],
    left: str,
    dead_mans_switch: bool,  # noqa: FBT001 - a table
) -> None:
    """Without a janitor the switch ends the bill soon; else it runs until somebody looks."""
    run = abandoned(dead_mans_switch=dead_mans_switch)
    if LEFT[left]:
        own_services.batch.create_task(run.job_id, task_options(sh(LEFT[left])))
        end_job_with_last_task.fn(RunContext.of(own_services, run))
        wait_until(lambda: control.state()["tasks"][0]["state"] in {"running", "completed"}, 60)

    waste_s = (run.delete_after - run.started).total_seconds()
    bill = []
    for since_s, until_s in pairwise((0.0, JOB.max_wall_clock_time_s, DAY_S, waste_s)):
        pass_time(control, since_s, until_s)
        bill.append(billed_s(control, run))

    switch = "with" if dead_mans_switch else "without"
    record_property(TITLE, f"{left:<30} {switch:<8}" + "".join(f"{each:14.0f}" for each in bill))
    least_s, most_s = (0.0, 3 * HOUR_S) if dead_mans_switch else (DAY_S, math.inf)
    assert least_s <= bill[-1] <= most_s


def test_nodes_can_be_taken_away(
    own_services: Services, control: Control, abandoned: Abandoned
) -> None:
    """A pool with the switch refuses a resize, so it is shrunk by another formula."""
    run = abandoned(dead_mans_switch=True)

    take_nodes_away(RunContext.of(own_services, run))

    control.wait_until_idle()
    wait_until(lambda: states_of(own_services, run) == [], 60)


def test_start_is_not_delayed(own_services: Services, abandoned: Abandoned) -> None:
    """The formula is evaluated when the pool is created: the node comes before an interval ends."""
    began = time.monotonic()

    run = abandoned(dead_mans_switch=True)

    assert time.monotonic() - began < AUTOSCALE_INTERVAL.total_seconds() / 2
    assert own_services.batch.get_pool(run.pool_id).target_dedicated_nodes == 1

"""The janitor and Prefect: what it is asked for, what it learns, and what it puts right there."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect import State, flow
from prefect.client.orchestration import get_client
from prefect.states import Cancelling, Pending, Running

from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.janitor import janitor
from prefect_azure_batch.ownership.heartbeat import Heartbeat
from tests.support.pipeline.estates import LIMIT_S, Left, MakeLeft, row_of

pytestmark = pytest.mark.usefixtures("prefect_harness", "accounts")


@pytest.mark.parametrize(
    "state", [Running(), Pending(), Cancelling()], ids=lambda state: state.name
)
def test_flow_run_of_a_dead_run_is_set_to_crashed(make_left: MakeLeft, state: State[Any]) -> None:
    """A flow run that Prefect takes for being at work is crashed once its run is found dead."""
    flow_run_id = flow_run_in(state)
    left = make_left(flow_run_id)
    left.fall_silent()

    assert row_of(janitor(dry_run=True), left)["prefect"] == f"{state.name}, which is not so"
    assert state_name(flow_run_id) == state.name
    row = row_of(janitor(), left)

    assert row["prefect"] == f"{state.name}, which was not so: set to Crashed"
    assert state_name(flow_run_id) == "Crashed"


def test_flow_run_of_a_live_run_is_left_alone(make_left: MakeLeft) -> None:
    """The state of a flow run that lives is not touched."""
    flow_run_id = flow_run_in(Running())
    left = make_left(flow_run_id)

    assert row_of(janitor(), left)["prefect"] == "Running"


def test_flow_run_of_another_server_is_unknown(dead: Left) -> None:
    """A run whose flow run this Prefect server does not know is deleted all the same."""
    assert row_of(janitor(), dead)["prefect"] == "unknown to this Prefect server"
    assert dead.names() == []


@flow
def nothing() -> None:
    """Do nothing; its runs are made without being run."""


def flow_run_in(state: State[Any]) -> UUID:
    """Make a flow run that Prefect takes for being in a state, and that nobody runs."""
    with get_client(sync_client=True) as client:
        return UUID(str(client.create_flow_run(nothing, state=state).id))


def state_name(flow_run_id: UUID) -> str:
    """Return the name of a flow run's state."""
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(flow_run_id).state
    assert state
    return str(state.name)


def test_one_run_is_waited_for(make_left: MakeLeft, dead: Left) -> None:
    """Asked for one run, the janitor waits until that is silent, and leaves all others."""
    crashed = make_left()
    crashed.heartbeat.stop()

    report = janitor(run=crashed.run.flow_run_id)

    assert [row["run"] for row in report.rows] == [crashed.run.name]
    assert crashed.names() == []
    assert len(dead.names()) == 5


def test_one_run_that_lives_is_left_alone(make_left: MakeLeft) -> None:
    """Asked for a run that lives after all, the janitor looks again and leaves it."""
    live = make_left()

    report = janitor(run=live.run.name)

    assert row_of(report, live)["verdict"] == "alive"
    assert len(live.names()) == 5


def test_run_is_found_by_who_resumed_it(dead: Left) -> None:
    """A resumed run is found by the flow run that continued it as well."""
    holder = uuid4()
    resumed = Heartbeat(dead.services.blobs, dead.run, holder)
    resumed.take(LIMIT_S, 0)
    resumed.stop()

    janitor(run=str(holder))

    assert dead.names() == []


@pytest.mark.parametrize("run", ["?", ""])
def test_what_names_no_run_is_refused(run: str) -> None:
    """A run that cannot be one is an error, and nothing is looked at."""
    with pytest.raises(ConfigurationError, match="names no run"):
        janitor(run=run)


def test_run_that_is_not_there(dead: Left) -> None:
    """A run of which nothing is left is not an error: somebody has cleaned up."""
    assert janitor(run=uuid4().hex).rows == ()
    assert len(dead.names()) == 5

"""The question after a run that succeeded: in the UI, on a terminal, or answered by nobody."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from cyclopts import App
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.flow_runs import resume_flow_run

from flows.word_count import options
from prefect_azure_batch.clean_up import cleaned_up
from prefect_azure_batch.command_line import batch_map
from prefect_azure_batch.command_line.terminal import ask_on_terminal
from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.ownership.deletion import KindsToDelete, delete_leftovers, find_leftovers
from prefect_azure_batch.ownership.heartbeat import Heartbeat
from prefect_azure_batch.ownership.heartbeat_blob import RunState, look_at_heartbeat
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import RunContext
from prefect_azure_batch.settings import CleanUpPolicy, Policy
from tests.support.processes import wait_until

NAMES = {"job": "tw-1-1", "pool": "tw-1-1"}
in_process = pytest.mark.usefixtures("prefect_harness", "nothing_left")


@flow
def successful(services: Services, run: Run, policy: CleanUpPolicy) -> None:
    """Take the run, and succeed."""
    heartbeat = Heartbeat(services.blobs, run, UUID(run.flow_run_id))
    heartbeat.take(limit_s=0, age_s=0)
    heartbeat.open_attempt(run.attempt)
    with cleaned_up(RunContext.of(services, run), heartbeat, policy, (None, None)):
        pass


def end_of(services: Services, run: Run, policy: CleanUpPolicy) -> State[None]:
    """Return in which state such a flow run ends."""
    return successful(services, run, policy, return_state=True)


def paused_runs() -> list[FlowRun]:
    """Return all flow runs that wait for an answer."""
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs()
    return [run for run in runs if run.state_type is StateType.PAUSED]


@in_process
def test_answer_in_the_ui(services: Services, make_run: Callable[[], Run]) -> None:
    """While the form waits the pool shrinks and the heartbeat says so; what is not ticked stays."""
    run = make_run()
    policy = CleanUpPolicy(job=Policy.ASK, pool=Policy.ASK)
    with ThreadPoolExecutor() as threads:
        ended = threads.submit(end_of, services, run, policy)
        wait_until(lambda: paused_runs() or ended.done(), 60)
        waiting = look_at_heartbeat(services.blobs, run)
        targets = services.batch.get_pool(run.pool_id).target_dedicated_nodes
        (paused,) = paused_runs()
        resume_flow_run(paused.id, run_input={"delete_job": True, "delete_pool": False})

        assert ended.result().is_completed()

    assert waiting
    assert (waiting.beat.state, bool(waiting.beat.until)) == (RunState.WAITING, True)
    assert targets == 0
    context = RunContext.of(services, run)
    left = find_leftovers(context)
    assert left == [f"pool {run.pool_id}", f"container {run.application_container}"]
    delete_leftovers(context, KindsToDelete(), timeout_s=60)


@in_process
def test_no_answer(services: Services, make_run: Callable[[], Run]) -> None:
    """A question that nobody answers is answered with yes, and the flow run is completed."""
    policy = CleanUpPolicy(job=Policy.ASK, pool=Policy.ASK, ask_timeout_s=2)

    assert end_of(services, make_run(), policy).is_completed()


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """A terminal as standard input, and what types into it."""
    keyboard, terminal = os.openpty()
    with open(terminal, closefd=True) as stdin:  # noqa: PTH123 - of a file descriptor
        monkeypatch.setattr(sys, "stdin", stdin)
        yield lambda text: _type(keyboard, text)
    os.close(keyboard)


def _type(keyboard: int, text: str) -> None:
    os.write(keyboard, text.encode())


@pytest.mark.parametrize(
    ("keys", "deleted"),
    [
        ("\n\n", {"job": True, "pool": True}),
        ("n\n\n", {"job": False, "pool": True}),
        ("y\nNo\n", {"job": True, "pool": False}),
    ],
)
def test_keys(typed: Callable[[str], None], keys: str, deleted: dict[str, bool]) -> None:
    """Enter means yes, and n keeps."""
    typed(keys)

    assert ask_on_terminal(NAMES, 10) == deleted


@pytest.mark.usefixtures("typed")
def test_nobody_at_the_terminal() -> None:
    """Without an answer in time everything is deleted."""
    assert ask_on_terminal(NAMES, 0) == {"job": True, "pool": True}


def test_ctrl_c_at_the_question(typed: Callable[[str], None]) -> None:
    """Ctrl-C at a question is Enter at all of them, whatever was said before."""
    typed("n\n")

    def interrupt(number: int, _frame: object) -> None:
        """Stand for Ctrl-C, when the second question waits."""
        raise KeyboardInterrupt(number)

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        assert ask_on_terminal(NAMES, 30) == {"job": True, "pool": True}
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    ("app", "arguments"),
    [(options.command(lambda: print), [__file__]), (batch_map.app, [__file__, __file__])],
    ids=["top-words", "batch-map"],
)
def test_ask_needs_a_terminal(app: App, arguments: list[str]) -> None:
    """Where nobody can be asked, the option is refused before anything begins."""
    with pytest.raises(ConfigurationError, match="--ask needs a terminal"):
        app(["--ask", *arguments], result_action="return_value")

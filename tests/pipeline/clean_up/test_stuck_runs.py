"""A run that cannot move: others see it, and a signal to it leaves nothing that costs money."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local_azure.stack import LocalAzure
from prefect_azure_batch.ownership.inventory import take_inventory
from prefect_azure_batch.ownership.liveness import LifeState
from prefect_azure_batch.service.clients import Services
from tests.pipeline.conftest import leftovers
from tests.support.paths import PROJECT
from tests.support.pipeline.prefect_server import PrefectServer, stop, wait_for

LIMIT_S = 3
# The deletions begin 10 s after the signal, and the process ends 10 s after that.
BOUND_S = 60
pytestmark = pytest.mark.usefixtures("nothing_left")


@contextmanager
def stuck(
    server: PrefectServer, azure: LocalAzure, log: Path, *arguments: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a run, and wait until it is stuck."""
    script = server.start(
        *("python", "-m", "tests.support.pipeline.stuck_run", *arguments),
        log=log,
        extra=dict(azure.environment) | {"PYTHONPATH": str(PROJECT)},
    )
    try:
        wait_for(lambda: "stuck\n" in log.read_text() or script.poll() is not None, timeout_s=90)
        assert script.poll() is None, log.read_text()
        yield script
    finally:
        stop(script)


def test_stuck_run_is_dead_to_the_janitor(
    prefect_server: PrefectServer, accounts: LocalAzure, services: Services, tmp_path: Path
) -> None:
    """That a thread could still write heartbeats proves nothing: the janitor deletes the run."""
    log = tmp_path / "log"
    with stuck(prefect_server, accounts, log, str(LIMIT_S), str(tmp_path)):

        def is_dead() -> bool:
            """See what the janitor thinks of it."""
            (found,) = take_inventory.fn(services).runs
            return found.liveness.state is LifeState.DEAD

        wait_for(is_dead, timeout_s=10 * LIMIT_S)
        janitor = prefect_server.start(
            "batch-map", "janitor", log=tmp_path / "janitor", extra=dict(accounts.environment)
        )
        try:
            assert janitor.wait(timeout=BOUND_S) == 0, (tmp_path / "janitor").read_text()
        finally:
            stop(janitor)
        assert leftovers(services) == []
    assert f"the run has not moved for {LIMIT_S} s" in log.read_text()


def test_process_of_a_stuck_run_ends(
    prefect_server: PrefectServer, accounts: LocalAzure, services: Services, tmp_path: Path
) -> None:
    """A command's run is over soon after a signal, even if it could not act on it."""
    log = tmp_path / "log"
    with stuck(prefect_server, accounts, log, "600", str(tmp_path), "own") as script:
        script.send_signal(signal.SIGTERM)

        assert script.wait(timeout=BOUND_S) == 128 + signal.SIGTERM
    text = log.read_text()
    assert "the clean-up has not begun for 10 s: its deletions are started" in text
    assert "this process ends" in text
    wait_for(lambda: not leftovers(services), timeout_s=BOUND_S)


@pytest.mark.signals
def test_process_of_somebody_else_does_not_end(
    prefect_server: PrefectServer, accounts: LocalAzure, services: Services, tmp_path: Path
) -> None:
    """In a process that is not the run's own, the deletions are started, and it lives on."""
    log = tmp_path / "log"
    with stuck(prefect_server, accounts, log, "600", str(tmp_path)) as script:
        script.send_signal(signal.SIGINT)

        wait_for(lambda: not leftovers(services), timeout_s=BOUND_S)

        assert script.poll() is None
    assert "its deletions are started" in log.read_text()

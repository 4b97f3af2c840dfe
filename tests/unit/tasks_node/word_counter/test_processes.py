"""Processes that are killed, fail or still run at the end."""

import os
import signal
from pathlib import Path

import pytest

from word_counter.processes import in_processes
from word_counter.refusals import Refusal

# pytest has threads when the program forks in its process; the program itself has none.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


def test_a_process_that_is_killed_is_reported() -> None:
    """A process that ends without its result, as for want of memory, is an internal error."""
    with (
        in_processes(lambda _: os.kill(os.getpid(), signal.SIGKILL), [0]) as children,
        pytest.raises(Refusal, match="was killed") as caught,
    ):
        children[0].result()

    assert caught.value.exit_code == 70


def test_a_defect_in_a_process_is_reported_without_its_text() -> None:
    """What goes wrong in a process is named by type and line, as it is in the program itself."""
    with (
        in_processes(lambda number: os.environ[f"sig=secret{number}"], [0]) as children,
        pytest.raises(Refusal, match=r"internal error: KeyError at \S.*:\d+$"),
    ):
        children[0].result()


def test_processes_that_still_run_at_the_end_are_stopped() -> None:
    """When the work is given up, no process is left in the background."""
    with in_processes(lambda _: signal.pause(), [0, 1]) as children:
        pids = [child.pid for child in children]

    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]

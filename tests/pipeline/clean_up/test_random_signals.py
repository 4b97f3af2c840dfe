"""Signals at random moments, one after the other, to a process of steps and events."""

import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL

from local_azure.stack import LocalAzure
from prefect_azure_batch.service.clients import Services
from tests.pipeline.conftest import leftovers
from tests.support.paths import PROJECT
from tests.support.processes import wait_until

NUM_SIGNALS = int(os.environ.get("SIGNALS", "2000"))
NUM_PARTS = 8
LONGEST_RUN_S = 0.5
# A run that hangs: the process is killed, and the test fails.
BOUND_S = 60
pytestmark = pytest.mark.usefixtures("prefect_harness")
BECOMES = {signal.SIGINT: "KeyboardInterrupt", signal.SIGTERM: "Terminated"}


class Loop:
    """A process that runs a flow for each line that it is given.

    Args:
        log: where its log goes.
        environment: of the process.
    """

    def __init__(self, log: Path, environment: dict[str, str]) -> None:
        self._said = log.with_suffix(".out")
        with log.open("wb") as errors, self._said.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.pipeline.signal_loop"],
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=errors,
            )
        self._wait_for_lines(1)

    def _wait_for_lines(self, number: int) -> list[str]:
        wait_until(lambda: self._said.read_text().count("\n") >= number, BOUND_S)
        return self._said.read_text().splitlines()

    def run(self, number: signal.Signals, after_s: float) -> tuple[str, float]:
        """Let it run, and send a signal; return what came out, and after how many seconds."""
        num_lines = len(self._said.read_text().splitlines())
        assert self.process.stdin
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()
        self._wait_for_lines(num_lines + 1)
        time.sleep(after_s)
        self.process.send_signal(number)
        began = time.monotonic()
        return self._wait_for_lines(num_lines + 2)[-1], time.monotonic() - began


@pytest.fixture
def loop(accounts: LocalAzure, tmp_path: Path) -> Iterator[Loop]:
    """The process, on the accounts and the test's Prefect server."""
    url = str(PREFECT_API_URL.value())
    environment = os.environ | dict(accounts.environment) | {"PREFECT_API_URL": url}
    loop = Loop(tmp_path / "loop.log", environment)
    yield loop
    assert loop.process.stdin
    loop.process.stdin.close()
    loop.process.kill()
    loop.process.wait()


def ends(loop: Loop, services: Services, num_signals: int, record: object, part: int = 0) -> None:
    """Send signals at random moments; look after each what came out, and what is left."""
    choose = random.Random(part)  # noqa: S311 - no secret
    seconds = []
    for _ in range(num_signals):
        number = choose.choice(list(BECOMES))
        outcome, took_s = loop.run(number, choose.uniform(0, LONGEST_RUN_S))
        assert outcome == BECOMES[number]
        assert leftovers(services) == []
        seconds.append(took_s)
    assert callable(record)
    line = f"{num_signals:7} {sorted(seconds)[len(seconds) // 2]:10.2f} {max(seconds):9.2f}"
    record("signals median (s) worst (s)", line)


def test_some_random_signals(loop: Loop, services: Services, record_property: object) -> None:
    """Each run ends as its signal says, and leaves nothing, in a process that lives on."""
    ends(loop, services, 3, record_property)


@pytest.mark.signals
@pytest.mark.parametrize("part", range(1, NUM_PARTS + 1))
def test_random_signals(loop: Loop, services: Services, record_property: object, part: int) -> None:
    """So it is with very many; parts of them side by side, for most of the time is waiting."""
    ends(loop, services, math.ceil(NUM_SIGNALS / NUM_PARTS), record_property, part)

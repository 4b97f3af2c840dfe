"""How a run of the matrix of endings ends, and what is then kept of it by the rules."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.pipeline.phases import (
    BATCH,
    BLOBS,
    LIMIT_S,
    MOST_S,
    PREFECT,
    Live,
    Phase,
    flow_process,
)
from tests.support.processes import wait_until

# Long enough to reach every phase on a busy machine.
TIMEOUT_S = 25
# Longer than a poll and a heartbeat, shorter than the limit.
OUTAGE_S = 3
LONG_OUTAGE_S = 300


@dataclass(frozen=True)
class Ending:
    """How a run ends.

    Attributes:
        name: for people.
        act: does it, and returns when calls in flight may continue.
        fails: whether the run counts as failed, so that its evidence is kept by default.
        survives: whether it does not end, but continues and succeeds.
        by_worker: whether a worker has the run; else a script.
        options: of the flow.
        limit_s: seconds of silence after which the run counts as dead.
        works_s: seconds that a batch task takes, if it works in that phase.
    """

    name: str
    act: Callable[[Live], None]
    fails: bool = False
    survives: bool = False
    by_worker: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    limit_s: int = LIMIT_S
    works_s: int = 600

    def keeps(self, phase: Phase, policies: Mapping[str, str]) -> list[str]:
        """Return the kinds of resources that are kept of a run that ends so in a phase."""
        return sorted(phase.evidence) if self.fails and not policies else []


def _refuse(live: Live) -> None:
    """Have the service refuse the call in flight, or the next one."""
    live.phase.refuse(live.account)
    wait_until(live.has_ended, MOST_S)


def _signal(live: Live, number: signal.Signals) -> None:
    """Send a signal to the process."""
    live.process.send_signal(number)
    live.wait_until_cleaning()


def _interrupt_twice(live: Live) -> None:
    """Press Ctrl-C, and again when the clean-up has begun."""
    _signal(live, signal.SIGINT)
    live.process.send_signal(signal.SIGINT)


def _let_pass(live: Live) -> None:
    """Wait until its time is over: its end comes then."""
    live.wait_until_cleaning(2 * TIMEOUT_S)
    live.begin_to_end()


def _cancel(live: Live) -> None:
    """Cancel the flow run as the UI and the command line do."""
    live.account.server.run("prefect", "flow-run", "cancel", live.run_id)
    live.wait_until_cleaning()


def _kill_flow(live: Live) -> None:
    """Kill the process of the flow run; the worker lives."""
    os.kill(flow_process(live.run_id), signal.SIGKILL)
    live.wait_for_hook()


def _terminate_worker(live: Live) -> None:
    """Stop the worker, which takes its flow run with it."""
    live.process.terminate()
    wait_until(live.has_ended, MOST_S)


def _kill_worker_and_flow(live: Live) -> None:
    """Kill both, the worker first."""
    flow = flow_process(live.run_id)
    live.process.kill()
    os.kill(flow, signal.SIGKILL)


def lose(service: str, seconds: float) -> Callable[[Live], None]:
    """Return an ending: a service is gone for a while."""

    def act(live: Live) -> None:
        """Cut it off, and let it be there again."""
        relay, began = live.account.relays[service], time.monotonic()
        relay.cut()
        wait_until(lambda: time.monotonic() - began >= seconds, 2 * seconds)
        relay.restore()

    return act


ENDINGS = {
    ending.name: ending
    for ending in (
        Ending("exception", _refuse, fails=True),
        Ending("Ctrl-C", lambda live: _signal(live, signal.SIGINT)),
        Ending("Ctrl-C twice", _interrupt_twice),
        Ending("SIGTERM", lambda live: _signal(live, signal.SIGTERM)),
        Ending("kill -9", lambda live: live.process.kill()),
        Ending("timeout", _let_pass, fails=True, options={"timeout_seconds": TIMEOUT_S}),
        Ending("cancelled", _cancel, by_worker=True),
        # The worker lives, and calls the hook of a crashed run.
        Ending("kill -9 of the flow", _kill_flow, fails=True, by_worker=True),
        # It takes its flow run with it, and nobody cleans up.
        Ending("SIGTERM to the worker", _terminate_worker, by_worker=True),
        # The flow run continues without it: to its end, or to its own when it notices.
        Ending("kill -9 of the worker", lambda live: live.process.kill(), by_worker=True),
        Ending("kill -9 of both", _kill_worker_and_flow, by_worker=True),
        *(
            Ending(
                f"no {service} for {OUTAGE_S} s",
                lose(service, OUTAGE_S),
                survives=True,
                limit_s=3 * OUTAGE_S,
                works_s=2 * OUTAGE_S,
            )
            for service in (BATCH, BLOBS, PREFECT)
        ),
    )
}
"""Of runs that a script has, and of those that a worker has; last, those that nothing ends."""


def _lose_prefect(live: Live) -> None:
    """Cut Prefect's server off until the run has given up; its process would wait on for it."""
    relay = live.account.relays[PREFECT]
    relay.cut()
    wait_until(lambda: live.says("Encountered exception"), LONG_OUTAGE_S)
    relay.restore()


LONG_OUTAGES = {
    ending.name: ending
    for ending in (
        *(
            Ending(
                f"no {service} for {LONG_OUTAGE_S} s",
                lose(service, LONG_OUTAGE_S),
                survives=True,
                limit_s=2 * LONG_OUTAGE_S,
                works_s=LONG_OUTAGE_S + 30,
            )
            for service in (BATCH, BLOBS, PREFECT)
        ),
        # A wait needs no server, but each step does: the next one fails, and the run cleans up.
        Ending(
            "no Prefect any more",
            _lose_prefect,
            fails=True,
            limit_s=2 * LONG_OUTAGE_S,
            works_s=2 * OUTAGE_S,
        ),
    )
}
"""As long as a service may be gone while a batch task works, and one that does not come back."""

"""Where a run of the matrix of endings is held: phases, the account, and the run at work there."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect.settings import PREFECT_API_URL, temporary_settings

from local_azure.client import Control
from prefect_azure_batch.janitor import janitor
from prefect_azure_batch.ownership.inventory import RunResources, take_inventory
from prefect_azure_batch.ownership.liveness import LifeState
from prefect_azure_batch.service.clients import Services
from tests.pipeline.conftest import leftovers
from tests.support.pipeline.prefect_server import PrefectServer, stop
from tests.support.pipeline.relay import Relay, refusal
from tests.support.processes import wait_until

LIMIT_S = 4
KEEP_S = 20
# A worker looks every ten seconds whether a flow run is to be cancelled.
MOST_S = 120
FORBIDDEN = refusal(403, "AuthorizationFailure")
BATCH, BLOBS, PREFECT = "Batch", "storage", "Prefect"
CONTAINERS, JOB = "container", "job"
CLEANING = ("is kept", "had no heartbeat", "exceeded timeout")
HOOK_DONE = ("after the end of the run: deleted", "clean-up after the end of the run")


@dataclass(frozen=True)
class Phase:
    """Where a run is held.

    Attributes:
        name: for people.
        evidence: the kinds of resources that a run which fails there leaves by default.
        delay: a transition of the emulator that does not happen; batch tasks are there.
        call: a request line, a regular expression: that call is in flight.
        to: the service that it goes to.
        works: whether the node program runs.
    """

    name: str
    evidence: tuple[str, ...] = (CONTAINERS, JOB)
    delay: str = ""
    call: str = ""
    to: str = BATCH
    works: bool = False

    def hold(self, account: "Account") -> None:
        """Let the next run get no further."""
        if self.delay:
            account.control.set_delay(self.delay, None)
        if self.call:
            account.relays[self.to].hold(self.call)

    def is_reached(self, account: "Account") -> bool:
        """Tell whether the run is there."""
        if self.call:
            return account.relays[self.to].is_reached.is_set()
        tasks = account.control.state()["tasks"]
        if self.delay:
            return bool(tasks and account.control.delays()[self.delay]["waiting"])
        return any(task["state"] == "running" for task in tasks)

    def refuse(self, account: "Account") -> None:
        """Have the service refuse the call that is in flight, or else the next one."""
        if self.call:
            account.relays[self.to].let_go(FORBIDDEN)
        else:
            account.relays[self.to].refuse(1, FORBIDDEN)

    def let_go(self, account: "Account") -> None:
        """Let everything happen that waits."""
        account.relays[self.to].let_go()
        if self.delay:
            account.control.set_delay(self.delay, 0)
            account.control.release(self.delay)


PHASES = {
    phase.name: phase
    for phase in (
        # Without a heartbeat there is nothing yet that would be evidence.
        Phase("creating containers", (), call=r"PUT \S+-application\?restype=container", to=BLOBS),
        Phase("uploading", (CONTAINERS,), call=r"PUT \S+-input/one.txt", to=BLOBS),
        Phase("creating the pool", (CONTAINERS,), call=r"POST /pools\?"),
        Phase("allocating", delay="allocation"),
        Phase("nodes starting", delay="boot"),
        # Without nodes: one that reads while storage is gone fails, and the run with it.
        Phase("submitting", delay="boot", call=r"POST /jobs/\S+/addtaskcollection"),
        Phase("ending the job", delay="boot", call=r"PATCH /jobs/"),
        Phase("running", works=True),
        Phase("downloading", call=r"GET \S+-output/one_OUTPUT.txt", to=BLOBS),
        # The run has succeeded.
        Phase("cleaning", (), call=r"DELETE /pools/"),
    )
}


@dataclass(frozen=True)
class Account:
    """A pair of services that can be made to fail, and Prefect's server.

    Attributes:
        control: bends the emulator.
        services: its clients, past the relays.
        server: Prefect's, where the runs and the janitor are.
        relays: between a run and each service, by the service's name.
        environment: what a run finds the relays by.
        folder: for logs, outputs and the input.
    """

    control: Control
    services: Services
    server: PrefectServer
    relays: Mapping[str, Relay]
    environment: Mapping[str, str]
    folder: Path

    def parameters(
        self, phase: Phase, policies: Mapping[str, str], works_s: int, limit_s: int
    ) -> dict[str, Any]:
        """Return the parameters of the flow.

        Args:
            phase: where it is held.
            policies: what is deleted when.
            works_s: seconds that a batch task takes, if it works in that phase.
            limit_s: seconds of silence after which the run counts as dead.
        """
        (self.folder / "one.txt").write_text("one one two")
        limits = {"heartbeat_limit_s": limit_s, "keep_s": KEEP_S}
        return {
            "inputs": [str(self.folder / "one.txt")],
            "output_dir": str(self.folder / "results"),
            "job": {"delay_s": works_s if phase.works else 0, "poll_interval_s": 0.3},
            "clean_up": {**limits, **policies},
        }

    def node_seconds(self) -> float:
        """Return how long all nodes of the account have been there until now."""
        return sum(pool["dedicated"] for pool in self.control.node_seconds().values())

    def runs(self) -> tuple[RunResources, ...]:
        """Return what runs have left, as the janitor sees it."""
        return take_inventory.fn(self.services).runs

    def kept(self) -> list[str]:
        """Return the kinds of resources of each run that says that it is kept; else all names."""
        found = [run for run in self.runs() if run.liveness.state is LifeState.KEPT]
        names = [of.name for run in found for of in run.resources]
        left = leftovers(self.services)
        if len(names) != len(left):
            return left
        return sorted({of.kind for run in found for of in run.resources})

    def clean(self) -> None:
        """Let the janitor run once."""
        with temporary_settings({PREFECT_API_URL: self.server.url}):
            janitor()

    def has_settled(self) -> bool:
        """Tell whether nobody lives any more."""
        return all(run.liveness.state is not LifeState.ALIVE for run in self.runs())


@dataclass
class Live:
    """A run at work.

    Attributes:
        account: where.
        phase: where it is held.
        process: the script, or the worker.
        log: what the process has said.
        run_id: the flow run's, of one that a worker has.
        num_heard: how much of the log is from before its end.
        died: when its end came, by the monotonic clock.
        billed_s: node-seconds until then.
    """

    account: Account
    phase: Phase
    process: subprocess.Popen[bytes]
    log: Path
    run_id: str = ""
    num_heard: int = 0
    died: float = 0.0
    billed_s: float = 0.0

    def begin_to_end(self) -> None:
        """Take note that its end comes now."""
        self.num_heard = len(self.log.read_text())
        self.died, self.billed_s = time.monotonic(), self.account.node_seconds()

    def says(self, *texts: str) -> bool:
        """Tell whether the process has said one of these since its end came."""
        said = self.log.read_text()[self.num_heard :]
        return any(text in said for text in texts)

    def has_ended(self) -> bool:
        """Tell whether the process, or that of the worker's flow run, is gone."""
        if not self.run_id:
            return self.process.poll() is not None
        return not flow_processes(self.run_id)

    def wait_until_cleaning(self, timeout_s: float = MOST_S) -> None:
        """Wait until the run has begun to clean up, or is gone."""
        wait_until(lambda: self.has_ended() or self.says(*CLEANING), timeout_s)

    def wait_for_hook(self) -> None:
        """Wait until the worker has called the hook of a flow run that is gone."""
        wait_until(lambda: self.says(*HOOK_DONE), MOST_S)

    def end(self) -> None:
        """End whatever is left of it."""
        stop(self.process)
        for process in flow_processes(self.run_id) if self.run_id else ():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def flow_processes(run_id: str) -> list[int]:
    """Return the processes of a flow run, not those of nodes (Linux)."""
    mark = f"PREFECT__FLOW_RUN_ID={run_id}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found += [int(process.name)] if mark in (process / "environ").read_bytes() else []
        except OSError:
            continue
    return found


def flow_process(run_id: str) -> int:
    """Return the process in which the worker has the flow run."""
    return min(flow_processes(run_id))

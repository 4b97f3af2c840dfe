"""Cells of the matrix of endings: a run is held in a phase, ended in some way, and what is left."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.janitor import janitor
from flows.services import Services
from flows.steps.census import Estate, take_census
from flows.verdict import Word
from local_azure.batch.faults import Kind, Rule
from local_azure.client import Control
from local_azure.stack import LocalAzure
from tests.pipeline.conftest import leftovers
from tests.pipeline.prefect_server import PrefectServer, stop
from tests.processes import wait_until

LIMIT_S = 4
KEEP_S = 15
# A call in flight at the end of a run is seen to before its heartbeat is past its limit.
IN_FLIGHT_S = 3.0
# Of a batch task that nobody waits for to end.
LONG_S = 600
SCRIPT = """
import json, sys
from flows.top_words import top_words
options, given = map(json.loads, sys.argv[1:])
top_words.with_options(**options)(**given)
"""
BLOCK = "bent"
"""What both saved blocks of the accounts are called."""
ALWAYS = {"containers": "always", "job": "always", "pool": "always"}
DEFAULTS: dict[str, str] = {}
# Long enough to reach every phase on a busy machine.
TIMEOUT_S = 20


@dataclass(frozen=True)
class Phase:
    """Where a run is held.

    Attributes:
        name: for people.
        delay: a transition of the emulator that does not happen.
        call: an operation that is in flight for a while.
        works: whether the node program runs until its node goes.
    """

    name: str
    delay: str = ""
    call: str = ""
    works: bool = False

    def hold(self, control: Control) -> None:
        """Let the next run get no further."""
        if self.delay:
            control.set_delay(self.delay, None)
        if self.call:
            rule = Rule(kind=Kind.LATENCY, operation=self.call, first=1, seconds=IN_FLIGHT_S)
            control.add_fault(rule)

    def is_reached(self, control: Control) -> bool:
        """Tell whether the run is there."""
        if self.delay:
            return bool(control.delays()[self.delay]["waiting"])
        if self.call:
            return any(fault["hits"] for fault in control.faults())
        return any(task["state"] == "running" for task in control.state()["tasks"])

    def let_go(self, control: Control) -> None:
        """Let everything happen that waits."""
        control.clear_faults()
        if self.delay:
            control.set_delay(self.delay, 0)
            control.release(self.delay)


PHASES = {
    phase.name: phase
    for phase in (
        Phase("creating the pool", call="create_pool"),
        Phase("allocating", delay="allocation"),
        Phase("nodes starting", delay="boot"),
        Phase("submitting", call="create_task_collection"),
        Phase("running", works=True),
        Phase("ending the job", call="update_job"),
        Phase("cleaning", call="delete_pool"),
    )
}


@dataclass(frozen=True)
class Account:
    """A pair of services that can be bent, and Prefect's server.

    Attributes:
        azure: the pair.
        control: bends it.
        services: its clients.
        server: Prefect's, where the runs and the janitor are.
        folder: for logs, outputs and the input.
    """

    azure: LocalAzure
    control: Control
    services: Services
    server: PrefectServer
    folder: Path

    def parameters(self, phase: Phase, policies: Mapping[str, str]) -> dict[str, Any]:
        """Return the parameters of the flow."""
        (self.folder / "one.txt").write_text("one one two")
        return {
            "inputs": [str(self.folder / "one.txt")],
            "output_dir": str(self.folder / "results"),
            "job": {"delay_s": LONG_S if phase.works else 0, "poll_interval_s": 0.3},
            "clean_up": {"heartbeat_limit_s": LIMIT_S, "keep_s": KEEP_S, **policies},
        }

    def node_seconds(self) -> float:
        """Return how long all nodes of the account have been there until now."""
        return sum(pool["dedicated"] for pool in self.control.node_seconds().values())

    def estates(self) -> tuple[Estate, ...]:
        """Return what runs have left, as the janitor sees it."""
        return take_census.fn(self.services).estates

    def clean(self) -> None:
        """Let the janitor run once."""
        with temporary_settings({PREFECT_API_URL: self.server.url}):
            janitor()

    def has_settled(self) -> bool:
        """Tell whether nobody lives any more."""
        return all(estate.verdict.word is not Word.ALIVE for estate in self.estates())


@dataclass
class Live:
    """A run at work.

    Attributes:
        account: where.
        process: the script, or the worker.
        run_id: the flow run's, of one that a worker has.
        log: what the process has said.
    """

    account: Account
    process: subprocess.Popen[bytes]
    log: Path
    run_id: str = ""

    @property
    def flow(self) -> int:
        """The process in which the worker has the flow run."""
        return flow_process(self.run_id)

    def send(self, *numbers: signal.Signals) -> None:
        """Send signals to the process; each next one when the clean-up has begun."""
        for number in numbers:
            self.process.send_signal(number)
            wait_until(lambda: "is kept" in self.log.read_text() or self.has_ended(), 60)

    def has_ended(self) -> bool:
        """Tell whether the process, or that of the worker's flow run, is gone."""
        if not self.run_id:
            return self.process.poll() is not None
        return not flow_processes(self.run_id)


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


@dataclass(frozen=True)
class Ending:
    """How a run ends.

    Attributes:
        name: for people.
        act: does it.
        keeps: whether evidence is kept by default; None: that depends on how far it came.
        by_worker: whether a worker has the run; else a script.
        options: of the flow.
    """

    name: str
    act: Callable[[Live], None]
    keeps: bool | None = False
    by_worker: bool = False
    options: Mapping[str, Any] | None = None


def _refuse(live: Live) -> None:
    """Let the service refuse whatever is asked next."""
    rule = Rule(kind=Kind.ERROR, first=1, status=403, code="AuthorizationFailure")
    live.account.control.add_fault(rule)
    wait_until(live.has_ended, 60)


def _let_pass(live: Live) -> None:
    """Wait until its time is over."""
    wait_until(live.has_ended, 2 * TIMEOUT_S)


def _cancel(live: Live) -> None:
    """Cancel the flow run as the UI and the command line do."""
    live.account.server.run("prefect", "flow-run", "cancel", live.run_id)


def _kill_flow(live: Live) -> None:
    """Kill the process of the flow run; the worker lives."""
    os.kill(live.flow, signal.SIGKILL)


def _kill_worker_and_flow(live: Live) -> None:
    """Kill both, the worker first."""
    flow = live.flow
    live.process.kill()
    os.kill(flow, signal.SIGKILL)


ENDINGS = {
    ending.name: ending
    for ending in (
        Ending("exception", _refuse, keeps=None),
        Ending("Ctrl-C", lambda live: live.send(signal.SIGINT)),
        Ending("Ctrl-C twice", lambda live: live.send(signal.SIGINT, signal.SIGINT), keeps=None),
        Ending("SIGTERM", lambda live: live.send(signal.SIGTERM)),
        Ending("kill -9", lambda live: live.process.kill()),
        Ending("timeout", _let_pass, keeps=None, options={"timeout_seconds": TIMEOUT_S}),
        Ending("cancelled", _cancel, by_worker=True),
        Ending("kill -9 of the flow", _kill_flow, keeps=None, by_worker=True),
        Ending(
            "SIGTERM to the worker", lambda live: live.process.terminate(), None, by_worker=True
        ),
        Ending("kill -9 of the worker", lambda live: live.process.kill(), None, by_worker=True),
        Ending("kill -9 of both", _kill_worker_and_flow, by_worker=True),
    )
}
"""Of runs that a script has, and of those that a worker has."""


@dataclass(frozen=True)
class Row:
    """What was measured in a cell.

    Attributes:
        phase: where the run was.
        ending: how it ended.
        clean_s: seconds from its end until everything was gone that should be.
        node_s: node-seconds billed after its end.
        kept: what was kept, in words.
    """

    phase: str
    ending: str
    clean_s: float
    node_s: float
    kept: str

    def __str__(self) -> str:
        """Return it as a line of a table."""
        times = f"{self.clean_s:8.1f} {self.node_s:12.1f}"
        return f"{self.ending:<24} {self.phase:<20} {times}  {self.kept or 'nothing'}"


def start_script(account: Account, ending: Ending, parameters: Mapping[str, Any]) -> Live:
    """Start a script that runs the flow."""
    log = account.folder / "script.log"
    given = (json.dumps(ending.options or {}), json.dumps(parameters))
    environment = dict(account.azure.environment)
    process = account.server.start("python", "-c", SCRIPT, *given, log=log, extra=environment)
    return Live(account, process, log)


def start_by_worker(account: Account, parameters: Mapping[str, Any]) -> Live:
    """Start a worker, and have it run the deployment on the account's saved blocks."""
    log = account.folder / "worker.log"
    worker = account.server.start(
        "prefect", "worker", "start", "--pool", "top-words", log=log, folder=account.folder
    )
    deployment = account.server.get("/deployments/name/top-words/local")
    names = {"batch_credentials": BLOCK, "storage_credentials": BLOCK}
    body = {"parameters": {**parameters, **names}, "state": {"type": "SCHEDULED"}}
    run = account.server.post(f"/deployments/{deployment['id']}/create_flow_run", body)
    return Live(account, worker, log, str(run["id"]))


def play(account: Account, phase: Phase, ending: Ending, policies: Mapping[str, str]) -> Row:
    """Let a run come into a phase and end there; look at what is left, and let the janitor run."""
    phase.hold(account.control)
    parameters = account.parameters(phase, policies)
    if ending.by_worker:
        live = start_by_worker(account, parameters)
    else:
        live = start_script(account, ending, parameters)
    wait_until(lambda: phase.is_reached(account.control) or live.process.poll() is not None, 90)
    assert not live.has_ended(), live.log.read_text()
    died, billed = time.monotonic(), account.node_seconds()
    try:
        ending.act(live)
        phase.let_go(account.control)
        wait_until(live.has_ended, 90)
        wait_until(account.has_settled, 60)
    finally:
        stop(live.process)
    account.clean()
    kept = check_kept(account, ending, policies)
    row = Row(
        *(phase.name, ending.name, time.monotonic() - died, account.node_seconds() - billed, kept)
    )
    if kept:
        wait_until(lambda: account.estates()[0].verdict.word is Word.DEAD, 2 * KEEP_S)
        account.clean()
    assert leftovers(account.services) == []
    return row


def check_kept(account: Account, ending: Ending, policies: Mapping[str, str]) -> str:
    """Check that exactly the evidence of a failed run is there, if any is; give it in words."""
    estates = account.estates()
    assert not estates or (ending.keeps is not False and not policies), leftovers(account.services)
    assert estates or not ending.keeps or policies
    if not estates:
        assert leftovers(account.services) == []
        return ""
    (estate,) = estates
    assert estate.verdict.word is Word.KEPT
    kinds = [resource.kind for resource in estate.resources]
    assert sorted(set(kinds)) in (["container"], ["container", "job"])
    assert kinds.count("container") == len(estate.run.containers)
    assert {job.state for job in account.services.batch.list_jobs()} <= {"completed"}
    return ", ".join(kinds)

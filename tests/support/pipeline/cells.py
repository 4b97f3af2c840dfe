"""Cells of the matrix of endings: a run is held in a phase, ended in some way, and what is left."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prefect_azure_batch.ownership.liveness import LifeState
from tests.pipeline.conftest import leftovers
from tests.support.pipeline.endings import Ending
from tests.support.pipeline.phases import KEEP_S, MOST_S, PREFECT, Account, Live, Phase
from tests.support.processes import wait_until

POLICIES: Mapping[str, Mapping[str, str]] = {
    "defaults": {},
    "always": {"containers": "always", "job": "always", "pool": "always"},
}
BLOCK = "controlled"
"""What both saved blocks of the accounts are called."""
SCRIPT = """
import json, sys
from flows.top_words import top_words
options, given = map(json.loads, sys.argv[1:])
top_words.with_options(**options)(**given)
"""


@dataclass(frozen=True)
class Row:
    """What was measured in a cell.

    Attributes:
        phase: where the run was.
        ending: how it ended.
        policies: which ones, in a word.
        clean_s: seconds from its end until only what is to be kept was there.
        node_s: node-seconds billed after its end.
        cleaner: who left it clean: the `run` itself with its hooks, or the `janitor`.
        kept: what was kept, in words.
    """

    phase: str
    ending: str
    policies: str
    clean_s: float
    node_s: float
    cleaner: str
    kept: str

    def __str__(self) -> str:
        """Return it as a line of a table."""
        name = f"{self.ending:<24} {self.phase:<20} {self.policies:<9}"
        return f"{name} {self.clean_s:9.1f} {self.node_s:13.1f}  {self.cleaner:<8} {self.kept}"


TITLE = (
    "ending                   phase                policies  clean (s)  node-seconds  by       kept"
)


def start(account: Account, phase: Phase, ending: Ending, parameters: dict[str, Any]) -> Live:
    """Start a script that runs the flow, or a worker."""
    if ending.by_worker:
        return _start_by_worker(account, phase, parameters)
    log = account.folder / "script.log"
    process = account.server.start(
        *("python", "-c", SCRIPT, json.dumps(ending.options), json.dumps(parameters)),
        log=log,
        extra={**account.environment, "PREFECT_API_URL": account.relays[PREFECT].url},
    )
    return Live(account, phase, process, log)


def _start_by_worker(account: Account, phase: Phase, parameters: dict[str, Any]) -> Live:
    """Start a worker, and have it run the deployment on the account's saved blocks."""
    log = account.folder / "worker.log"
    worker = account.server.start(
        "prefect", "worker", "start", "--pool", "top-words", log=log, folder=account.folder
    )
    deployment = account.server.get("/deployments/name/top-words/local")
    names = {"batch_credentials": BLOCK, "storage_credentials": BLOCK}
    body = {"parameters": {**parameters, **names}, "state": {"type": "SCHEDULED"}}
    run = account.server.post(f"/deployments/{deployment['id']}/create_flow_run", body)
    return Live(account, phase, worker, log, str(run["id"]))


def play(account: Account, phase: Phase, ending: Ending, policies: Mapping[str, str]) -> Row:
    """Let a run come into a phase and end there; look at what is left, and let the janitor run.

    Raises:
        AssertionError: something else is left than should be.
    """
    expected = ending.keeps(phase, policies)
    phase.hold(account)
    parameters = account.parameters(phase, policies, ending.works_s, ending.limit_s)
    live = start(account, phase, ending, parameters)
    try:
        wait_until(lambda: phase.is_reached(account) or live.process.poll() is not None, MOST_S)
        assert not live.has_ended(), live.log.read_text()
        live.begin_to_end()
        ending.act(live)
        phase.let_go(account)
        wait_until(live.has_ended, MOST_S)
        assert not ending.survives or live.process.returncode == 0, live.log.read_text()
        wait_until(account.has_settled, MOST_S)
        is_clean = account.kept() == expected
        clean_s = time.monotonic() - live.died
    except BaseException as error:
        error.add_note(live.log.read_text())
        raise
    finally:
        live.end()
    account.clean()
    left = account.kept()
    assert left == expected, live.log.read_text()
    assert {job.state for job in account.services.batch.list_jobs()} <= {"completed"}
    row = Row(
        phase.name,
        ending.name,
        "always" if policies else "defaults",
        clean_s if is_clean else time.monotonic() - live.died,
        account.node_seconds() - live.billed_s,
        "run" if is_clean else "janitor",
        ", ".join(left) or "nothing",
    )
    if left:
        wait_until(lambda: account.runs()[0].liveness.state is LifeState.DEAD, 2 * KEEP_S)
        account.clean()
    assert leftovers(account.services) == []
    return row

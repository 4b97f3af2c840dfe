"""The flow's process killed with -9 after each of its steps, and the run resumed.

What is counted is what the nodes really did: the node program notes every batch task that it has
done to its end.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL

from flows.top_words import top_words
from local_azure.client import Control
from local_azure.stack import LocalAzure
from prefect_azure_batch.errors import RunIsOver
from prefect_azure_batch.janitor import janitor
from prefect_azure_batch.model.run import EVERY_ATTEMPT, Run, new_run, run_id_of
from prefect_azure_batch.ownership.deletion import KindsToDelete, delete_leftovers
from prefect_azure_batch.ownership.heartbeat_blob import ServiceClock, look_at_heartbeat
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import RunContext
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings
from tests.pipeline.conftest import leftovers
from tests.support.paths import PROJECT
from tests.support.pipeline.programs import COUNT, in_its_place
from tests.support.processes import wait_until

pytestmark = pytest.mark.usefixtures("prefect_harness", "accounts")

STEPS = (
    "create containers",
    "open attempt",
    "upload node program and inputs",
    "look for outputs that are there",
    "create pool",
    "create job",
    "add batch tasks",
    "wait for batch tasks",
    "download outputs",
    "look for outputs that are there",
    "add batch tasks",
    "let the job end by itself",
    "wait for batch tasks",
    "download outputs",
    "see what the nodes were used for",
    "publish results",
    "delete job, pool and containers",
)
"""Every step of a run with a total, from the first that creates something, in order.

Those of single batch tasks are not among them.
"""
# The others take two minutes more: `make test-kills`.
SOME = frozenset({2, 7, 10, 15})
# After the results are published it has succeeded, and says so next: there is nothing to
# resume any more (`test_killed_in_the_clean_up_of_a_good_run`).
BOUNDARIES = [
    pytest.param(
        number,
        marks=[] if number in SOME else [pytest.mark.kills],
        id=f"{number} {STEPS[number - 1]}",
    )
    for number in range(1, len(STEPS) - 1)
]
LIMIT_S = 2
TEXTS = {"one.txt": "one one two", "two.txt": "two", "three.txt": "two three three"}
WORDS = {"one.txt": [("one", 2)], "three.txt": [("three", 2)], "two.txt": [("two", 1)]}
TOTAL = [("two", 3)]
BATCH_TASKS = {"topNtask0": 1, "topNtask1": 1, "topNtask2": 1, "total-1-0": 1}
SCRIPT = """
import json, sys
from flows.top_words import top_words
top_words(**json.loads(sys.stdin.readline()))
"""


class Victim:
    """A process that imports the flow, and then waits for what it is to run.

    Args:
        log: where its output goes.
        accounts: the environment of the accounts.
    """

    def __init__(self, log: Path, accounts: Mapping[str, str]) -> None:
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", SCRIPT],
                cwd=log.parent,
                env=os.environ
                | accounts
                | {"PREFECT_API_URL": str(PREFECT_API_URL.value()), "PYTHONPATH": str(PROJECT)},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def start(self, parameters: dict[str, Any]) -> None:
        """Let it run the flow."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(parameters).encode() + b"\n")
        self._process.stdin.flush()

    def log(self) -> str:
        """Return what it has said."""
        return self._log.read_text()

    def finished(self) -> tuple[str, ...]:
        """Return which of the steps it has finished, in order."""
        found = re.findall(r"Task run '([^':]+)' - Finished in state Completed", self.log())
        return tuple(found[found.index(STEPS[0]) :] if STEPS[0] in found else ())

    def end(self) -> int:
        """Wait until it ends, and return its exit code."""
        return self._process.wait(60)

    def kill(self) -> None:
        """Kill it, wherever it is."""
        self._process.kill()
        self._process.communicate()


class Victims:
    """Victims, of which the next one imports while the last one is at work.

    Args:
        folder: for their logs.
        accounts: the environment of the accounts.
    """

    def __init__(self, folder: Path, accounts: Mapping[str, str]) -> None:
        self._folder = folder
        self._accounts = dict(accounts)
        self._made = [Victim(folder / "0", self._accounts)]

    def next(self) -> Victim:
        """Return one that nobody has had."""
        self._made.append(Victim(self._folder / str(len(self._made)), self._accounts))
        return self._made[-2]

    def kill(self) -> None:
        """Kill all."""
        for victim in self._made:
            victim.kill()


@pytest.fixture(scope="module")
def victims(
    prefect_harness: None,  # noqa: ARG001 - its server is theirs too
    local_azure: LocalAzure,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Victims]:
    """Processes to kill, one after the other."""
    made = Victims(tmp_path_factory.mktemp("victims"), local_azure.environment)
    yield made
    made.kill()


@pytest.fixture
def parameters(tmp_path: Path) -> dict[str, Any]:
    """A run of three texts and their total, whose node program notes in `done` what it has done."""
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text)
    program = tmp_path / "noting.py"
    program.write_text(
        f"{COUNT}import os\n"
        "done = count()\n"
        "if done == 0:\n"
        f"    with open({str(tmp_path / 'done')!r}, 'a') as notes:\n"
        "        print(os.environ['AZ_BATCH_TASK_ID'], file=notes)\n"
        "sys.exit(done)\n"
    )
    return {
        "inputs": [str(tmp_path / "*.txt")],
        "num_words": 1,
        "output_dir": str(tmp_path / "results"),
        "pool": {"start_task_command": in_its_place(program)},
        "job": {"poll_interval_s": 0.3, "total": True},
    }


@pytest.fixture
def cleared(services: Services) -> Iterator[None]:
    """Delete all runs after the test, so that one that fails takes no other with it."""
    yield
    for name in {text.split()[1][:35] for text in leftovers(services)}:
        context = RunContext.of(services, run_called(name))
        delete_leftovers(context, KindsToDelete(), timeout_s=60)


def run_called(name: str) -> Run:
    """Return a run by its name, in its last attempt."""
    return new_run(run_id_of(name), EVERY_ATTEMPT, JobSettings(), CleanUpPolicy())


def is_silent(services: Services, run: Run) -> bool:
    """Return whether a run has had no heartbeat for its limit, or none at all for so long."""
    seen = look_at_heartbeat(services.blobs, run)
    if seen:
        return seen.age_s >= LIMIT_S
    clock = ServiceClock()
    container = services.blobs.get_container_client(run.application_container)
    made = container.get_container_properties(raw_response_hook=clock).last_modified
    return clock.seconds_since(made) >= LIMIT_S


@pytest.mark.usefixtures("cleared")
@pytest.mark.parametrize("num_steps", BOUNDARIES)
def test_killed_after_a_step(
    services: Services,
    victims: Victims,
    parameters: dict[str, Any],
    tmp_path: Path,
    num_steps: int,
) -> None:
    """Killed after any step and resumed, a run has the same result, and no batch task ran twice."""
    victim = victims.next()
    victim.start(parameters | {"clean_up": {"heartbeat_limit_s": LIMIT_S}})
    wait_until(lambda: len(victim.finished()) >= num_steps, 60)
    victim.kill()
    assert victim.finished()[:num_steps] == STEPS[:num_steps]
    name = re.findall("tw-[0-9a-f]{32}", victim.log())[0]
    wait_until(lambda: is_silent(services, run_called(name)), 5 * LIMIT_S)

    result = top_words(**parameters, resume=name)

    assert (result.words, result.total) == (WORDS, TOTAL)
    assert Counter((tmp_path / "done").read_text().split()) == BATCH_TASKS
    assert leftovers(services) == []


@pytest.mark.usefixtures("cleared")
def test_these_are_all_steps(
    services: Services, victims: Victims, parameters: dict[str, Any]
) -> None:
    """A process that nobody kills does exactly the steps of the list, and leaves nothing."""
    victim = victims.next()
    victim.start(parameters)

    assert victim.end() == 0, victim.log()

    assert victim.finished() == STEPS
    assert leftovers(services) == []


def test_killed_in_the_clean_up_of_a_good_run(  # noqa: PLR0913, PLR0917 - fixtures
    controlled_azure: LocalAzure,
    controlled_services: Services,
    control: Control,
    parameters: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Resumed, it says that it has succeeded, and counts nothing again; the janitor ends it."""
    for name, value in controlled_azure.environment.items():
        monkeypatch.setenv(name, value)
    control.set_delay("removal", None)
    victim = Victim(tmp_path / "log", controlled_azure.environment)
    victim.start(parameters | {"clean_up": {"heartbeat_limit_s": LIMIT_S}})
    wait_until(lambda: victim.finished()[-1:] == STEPS[-2:-1], 90)
    # The pool stays as long as its nodes, and the application container as long as the pool.
    wait_until(lambda: len(list(controlled_services.blobs.list_containers())) == 1, 30)
    victim.kill()
    name = re.findall("tw-[0-9a-f]{32}", victim.log())[0]
    wait_until(lambda: is_silent(controlled_services, run_called(name)), 5 * LIMIT_S)

    with pytest.raises(RunIsOver, match=f"run {name} has succeeded.* output folder"):
        top_words(**parameters, resume=name)

    assert Counter((tmp_path / "done").read_text().split()) == BATCH_TASKS
    control.set_delay("removal", 0)
    control.release("removal")
    janitor()
    assert leftovers(controlled_services) == []

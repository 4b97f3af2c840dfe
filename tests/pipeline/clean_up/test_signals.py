"""A signal at any line of code: the run ends by the same way, soon, and leaves nothing."""

import os
import signal
from pathlib import Path

import pytest

from local_azure.stack import LocalAzure
from prefect_azure_batch.service.clients import Services
from tests.pipeline.clean_up.test_endings import end_state
from tests.pipeline.conftest import leftovers, mark_for_children
from tests.support.paths import PROJECT
from tests.support.pipeline.prefect_server import PrefectServer, stop, wait_for
from tests.support.processes import Marked

INJECTED = PROJECT / "tests" / "support" / "pipeline" / "injected_signals"
# Much longer than it takes: a clean-up of a hurried run, on a busy machine.
BOUND_S = 60
EXIT_CODES = {"SIGINT": 130, "SIGTERM": -signal.SIGTERM}
# Where, and how often the run passes there before: from its first steps to its wait.
PLACES = [
    *(f"condition {number}" for number in (3, 20, 60)),
    *(f"step {number}" for number in (1, 4, 7)),
    *(f"serialisation {number}" for number in (0, 20, 60)),
]
SOME = {"SIGTERM condition 20", "SIGINT step 4"}
CASES = [
    pytest.param(case, marks=[] if case in SOME else [pytest.mark.signals])
    for case in (f"{name} {place}" for place in PLACES for name in EXIT_CODES)
]


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("case", CASES)
def test_signal_at_a_line(
    prefect_server: PrefectServer, accounts: LocalAzure, marked: Marked, tmp_path: Path, case: str
) -> None:
    """The command line ends with the signal's exit code, wherever in others' code it came."""
    name, _, _ = case.partition(" ")
    log = tmp_path / "log"
    script = prefect_server.start(
        *("python", "flows/top_words.py", "data/taskdata1.txt", "--delay", "600"),
        *("--output-dir", str(tmp_path)),
        log=log,
        extra=mark_for_children(marked)
        | dict(accounts.environment)
        | {"SIGNAL_AT": case, "PYTHONPATH": str(INJECTED)},
    )
    try:
        wait_for(lambda: f"signal {name}" in log.read_text(), timeout_s=90)

        assert script.wait(timeout=BOUND_S) == EXIT_CODES[name], log.read_text()
    finally:
        stop(script)
    assert "Traceback" not in log.read_text()


@pytest.mark.usefixtures("accounts", "nothing_left")
@pytest.mark.parametrize(
    "case",
    [
        "SIGTERM condition 20",
        pytest.param("SIGTERM step 4", marks=pytest.mark.signals),
        pytest.param("SIGINT condition 20", marks=pytest.mark.signals),
    ],
)
def test_signal_at_a_line_of_a_workers_run(
    deployed: PrefectServer, services: Services, tmp_path: Path, case: str
) -> None:
    """A run that a worker has is over, too, and Prefect does not show it at work."""
    deployment = deployed.get("/deployments/name/top-words/local")
    environment = {"SIGNAL_AT": case, "PYTHONPATH": os.pathsep.join([str(INJECTED), str(PROJECT)])}
    parameters = deployment["parameters"] | {
        "inputs": ["data/taskdata1.txt"],
        "job": {"delay_s": 600},
        "output_dir": str(tmp_path),
    }
    run = deployed.post(
        f"/deployments/{deployment['id']}/create_flow_run",
        {
            "parameters": parameters,
            "state": {"type": "SCHEDULED"},
            "job_variables": {"env": environment},
        },
    )

    assert wait_for(lambda: end_state(deployed, run["id"]), timeout_s=120) == "CRASHED"
    wait_for(lambda: not leftovers(services), timeout_s=BOUND_S)


def test_handlers_are_put_back(
    prefect_server: PrefectServer, accounts: LocalAzure, tmp_path: Path
) -> None:
    """After a run, signals do in the caller's process what they did before."""
    code = (
        "import signal; from flows.top_words import top_words\n"
        "handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]\n"
        f"top_words(['data/taskdata1.txt'], output_dir={str(tmp_path)!r})\n"
        "assert handlers == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]\n"
        "from prefect.utilities import engine\n"
        "assert engine._prefect_sigterm_handler.__name__ == '_prefect_sigterm_handler'\n"
        "print('as before')\n"
    )
    log = tmp_path / "log"
    script = prefect_server.start(
        "python",
        "-c",
        code,
        log=log,
        extra=dict(accounts.environment) | {"PYTHONPATH": str(PROJECT)},
    )

    assert script.wait(timeout=BOUND_S) == 0, log.read_text()
    assert "as before" in log.read_text()

"""Failed runs that are continued: by the same command with `resume`, and by Prefect's Retry."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from flows.top_words import top_words
from local_azure.stack import LocalAzure
from prefect_azure_batch.errors import BatchTasksFailed, ConfigurationError, RunLost
from prefect_azure_batch.service.clients import Services
from tests.pipeline.conftest import leftovers
from tests.support.pipeline.prefect_server import PrefectServer, wait_for
from tests.support.pipeline.programs import COUNT, in_its_place

WORDS = {"bad.txt": [("bad", 1)], "good.txt": [("good", 1)]}

in_process = pytest.mark.usefixtures("prefect_harness", "nothing_left")


@pytest.fixture
def parameters(tmp_path: Path) -> dict[str, Any]:
    """A run whose node program fails for `bad.txt` until the file `fixed` is there.

    It notes in `done` which batch tasks it has done.
    """
    for name in WORDS:
        (tmp_path / name).write_text(name.removesuffix(".txt"))
    program = tmp_path / "program.py"
    program.write_text(
        f"{COUNT}import os, pathlib\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "if 'bad' in sys.argv[1] and not (folder / 'fixed').exists(): sys.exit(7)\n"
        "done = count()\n"
        "with (folder / 'done').open('a') as notes:\n"
        "    print(os.environ['AZ_BATCH_TASK_ID'], file=notes)\n"
        "sys.exit(done)\n"
    )
    return {
        "inputs": [str(tmp_path / "*.txt")],
        "output_dir": str(tmp_path / "results"),
        "pool": {"start_task_command": in_its_place(program)},
        "job": {"poll_interval_s": 0.3, "max_task_retry_count": 0},
    }


def failed_run(parameters: dict[str, Any]) -> str:
    """Run, fail, and return the name of the run as the error says it."""
    with pytest.raises(BatchTasksFailed) as raised:
        top_words(**parameters)
    notes = "".join(raised.value.__notes__)
    return notes[notes.index("resume=") :].split()[0].removeprefix("resume=")


def fix(folder: Path) -> None:
    """Let the node program no longer fail."""
    (folder / "fixed").touch()


def runs_of(folder: Path) -> Counter[str]:
    """Return how often each batch task was done."""
    return Counter((folder / "done").read_text().split())


@in_process
@pytest.mark.parametrize("call_it", [str, lambda name: name.removeprefix("tw-")])
def test_only_what_failed_is_run_again(
    parameters: dict[str, Any], tmp_path: Path, call_it: Callable[[str], str]
) -> None:
    """A failed run says what it is called; resumed, it does the rest, and nothing is left."""
    name = failed_run(parameters)
    fix(tmp_path)

    result = top_words(**parameters, resume=call_it(name))

    assert result.words == WORDS
    assert runs_of(tmp_path) == {"topNtask0": 1, "topNtask1": 1}


@in_process
def test_run_that_fails_again_can_be_resumed_again(
    parameters: dict[str, Any], services: Services, tmp_path: Path
) -> None:
    """A resumed run that fails keeps what the first one left, and a third continues from there."""
    name = failed_run(parameters)

    assert failed_run({**parameters, "resume": name}) == name
    assert len(leftovers(services)) == 4
    fix(tmp_path)
    assert top_words(**parameters, resume=name).words == WORDS
    assert runs_of(tmp_path)["topNtask1"] == 1


@in_process
def test_nothing_to_resume(parameters: dict[str, Any]) -> None:
    """A run that left nothing cannot be resumed, and the error says what can."""
    with pytest.raises(ConfigurationError, match=r"left of run tw-0{32} .*no run at all"):
        top_words(**parameters, resume="0" * 32)


@in_process
def test_one_of_two_resumes_wins(parameters: dict[str, Any], tmp_path: Path) -> None:
    """Of two flow runs that resume a run at once, one does, and the other's error says why not."""
    name = failed_run(parameters)
    fix(tmp_path)
    barrier = Barrier(2)

    def resume(number: int) -> object:
        """Resume when both are ready; return the words, or the error."""
        barrier.wait()
        try:
            output_dir = str(tmp_path / f"results{number}")
            return top_words(**{**parameters, "output_dir": output_dir}, resume=name).words
        except (RunLost, ConfigurationError) as error:
            # The latter if all is over already.
            return type(error)

    with ThreadPoolExecutor(2) as threads:
        ends = list(threads.map(resume, range(2)))

    assert WORDS in ends
    assert any(isinstance(end, type) for end in ends)
    assert runs_of(tmp_path)["topNtask0"] == 1


@pytest.mark.usefixtures("nothing_left")
def test_retry_in_prefect(
    deployed: PrefectServer,
    accounts: LocalAzure,  # noqa: ARG001 - a fixture
    parameters: dict[str, Any],
    tmp_path: Path,
) -> None:
    """Prefect's Retry of a failed flow run continues with what it left, in a process of its own."""
    deployment = deployed.get("/deployments/name/top-words/local")
    given = deployment["parameters"] | parameters
    body = {"parameters": given, "state": {"type": "SCHEDULED"}}
    run = deployed.post(f"/deployments/{deployment['id']}/create_flow_run", body)
    path = f"/flow_runs/{run['id']}"
    wait_for(lambda: deployed.get(path)["state_type"] == "FAILED", timeout_s=90)
    fix(tmp_path)

    retry = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}
    deployed.post(f"{path}/set_state", retry)

    wait_for(lambda: deployed.get(path)["state_type"] == "COMPLETED", timeout_s=90)
    assert deployed.get(path)["run_count"] == 2
    assert runs_of(tmp_path) == {"topNtask0": 1, "topNtask1": 1}

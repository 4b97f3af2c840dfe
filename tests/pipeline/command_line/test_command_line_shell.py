"""The command line for shells and programs: JSON, completion, help."""

import json
import subprocess
from pathlib import Path

import pytest

from local_azure.stack import LocalAzure
from tests.pipeline.command_line.test_command_line import SAMPLE, SCRIPT, run
from tests.support.paths import PROJECT
from tests.support.pipeline.prefect_server import PrefectServer

COMPLETE = """
source "$HOME/.local/share/bash-completion/completions/top-words"
COMP_WORDS=(top-words --num); COMP_CWORD=1
"$(complete -p top-words | sed -E 's/.*-F ([^ ]+).*/\\1/')" top-words --num top-words
printf '%s\\n' "${COMPREPLY[@]}"
"""


def test_json_is_all_of_standard_output(
    prefect_server: PrefectServer, accounts: LocalAzure, tmp_path: Path
) -> None:
    """`--json` prints the content of `results.json`, and nothing else, for programs to read."""
    environment = prefect_server.environment | dict(accounts.environment)

    done = run(tmp_path, SCRIPT, SAMPLE, "--total", "--json", environment=environment)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads((tmp_path / "results" / "results.json").read_text("utf-8"))
    assert found["total"] == found["inputs"]["taskdata1.txt"]["words"]
    assert found["total"][0][0] == "the"


def test_plan_as_json(prefect_server: PrefectServer, accounts: LocalAzure, tmp_path: Path) -> None:
    """`--plan --json` prints the rows of the plan as one object."""
    environment = prefect_server.environment | dict(accounts.environment)

    done = run(tmp_path, SCRIPT, SAMPLE, "--plan", "--json", environment=environment)

    assert done.returncode == 0, done.stderr
    assert "standard_d2s_v5" in json.loads(done.stdout)["pool"]


@pytest.mark.parametrize("shown", ["--local data/*.txt", "Exit codes: 0 every input", "Nodes"])
def test_help_has_examples_and_exit_codes(tmp_path: Path, shown: str) -> None:
    """The help shows how to begin, groups the options, and says what the exit codes mean."""
    done = run(tmp_path, SCRIPT, "--help", environment={"PYTHONPATH": str(PROJECT)})

    assert done.returncode == 0, done.stderr
    assert shown in done.stdout


def test_options_are_completed_in_bash(tmp_path: Path) -> None:
    """The script that `--install-completion` writes completes an option's name."""
    environment = {"HOME": str(tmp_path), "SHELL": "/bin/bash", "PATH": "/usr/bin:/bin"}
    installed = run(tmp_path, SCRIPT, "--install-completion", environment=environment)
    assert installed.returncode == 0, installed.stderr

    done = subprocess.run(
        ["/bin/bash", "-c", COMPLETE],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == ["--num-words"]

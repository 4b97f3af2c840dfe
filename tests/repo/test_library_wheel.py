"""The library from its wheel, beside the emulator's, in an environment away from the checkout."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from zipfile import ZipFile

import pytest
from dotenv import dotenv_values

from local_azure.stack import LocalAzure
from tests.support.wheels import build_wheel, install_wheels

# Two environments are made for it.
pytestmark = pytest.mark.timeout(600)

Runner = Callable[..., str]
SCRIPT = """
import json, sys
from prefect_azure_batch import batch_map
rows = batch_map("shout.py --twice", sys.argv[1:], output_dir="out")
print(json.dumps([[row.source, row.name, row.path, row.size] for row in rows]))
"""
PROGRAM = """
import sys
_, option, source, target = sys.argv
text = open(source).read().upper()
open(target, "w").write(text * (2 if option == "--twice" else 1))
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Both wheels of this repository."""
    return [build_wheel(name, tmp_path_factory.mktemp("wheel")) for name in (".", "local_azure")]


@pytest.fixture(scope="module")
def programs(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of an environment that has only both wheels."""
    return install_wheels(tmp_path_factory.mktemp("environment"), *wheels).parent


@pytest.fixture
def environment(local_azure: LocalAzure, programs: Path, tmp_path: Path) -> Mapping[str, str]:
    """The environment of a user with accounts, and a home of Prefect's own."""
    (tmp_path / "shout.py").write_text(PROGRAM)
    (tmp_path / "a.txt").write_text("hello")
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        **local_azure.environment,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
        "DO_NOT_TRACK": "1",
    }


@pytest.fixture
def run(environment: Mapping[str, str], tmp_path: Path) -> Runner:
    """Runs a command away from the checkout, which must succeed; returns what it prints."""

    def run(*command: str) -> str:
        """Run it."""
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_wheel_holds_the_library_alone(wheels: list[Path]) -> None:
    """No `flows` or `blocks`, which would hide those of a user's own project."""
    with ZipFile(wheels[0]) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith("/METADATA"))
        asked = re.findall(
            r"^Requires-Dist: ([\w-]+)", archive.read(metadata).decode(), re.MULTILINE
        )

    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {
        "prefect_azure_batch"
    }
    assert "local-azure" not in asked
    assert "starlette" not in asked


def test_the_commands_help(run: Runner) -> None:
    """Help and version are there before Prefect is imported."""
    assert "COMMAND INPUTS" in run("batch-map", "--help")
    assert run("batch-map", "--version").strip() == "0.1.0"


def test_it_knows_nothing_of_the_checkout(run: Runner) -> None:
    """What is imported comes from the wheel, and the application is not there."""
    place = run("python", "-c", "import prefect_azure_batch as p; print(p.__file__)")
    absent = run(
        *("python", "-c"),
        "import importlib.util as u; print([u.find_spec(n) for n in ('flows', 'blocks')])",
    )

    assert "site-packages" in place
    assert absent.strip() == "[None, None]"


def test_a_function_runs_a_program_of_ones_own(run: Runner, tmp_path: Path) -> None:
    """`batch_map` gives a row for each input, with where its output is."""
    ((source, name, path, size),) = json.loads(run("python", "-c", SCRIPT, "a.txt"))

    assert (source, name, size) == ("a.txt", "a.txt", 10)
    assert Path(path) == tmp_path / "out/a_OUTPUT.txt"
    assert Path(path).read_text() == "HELLOHELLO"


def test_accounts_become_blocks(run: Runner, local_azure: LocalAzure, tmp_path: Path) -> None:
    """`batch-map blocks` saves and checks them."""
    file = tmp_path / "local.env"
    file.write_text("".join(f"{n}={v!r}\n" for n, v in local_azure.environment.items()))
    assert dotenv_values(file)

    saved = run("batch-map", "blocks", "save", "wheel", "--env-file", str(file))

    assert "saved azure-batch-credentials/wheel" in saved
    assert "next: batch-map blocks check wheel" in saved


def test_the_janitor_looks(run: Runner) -> None:
    """`batch-map janitor --dry-run` says what is billed."""
    assert "nodes billed when it looked" in run("batch-map", "janitor", "--dry-run")

"""Thousands of inputs by name: on a command line, in a list, in a flow, in a resumed run."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName

from flows.top_words import top_words
from local_azure.stack import LocalAzure
from prefect_azure_batch import (
    BadInput,
    ConfigurationError,
    JobSettings,
    ListFile,
    PipelineError,
    Selection,
    batch_map,
    list_file,
)
from tests.pipeline.command_line.test_command_line import SCRIPT, run
from tests.support.pipeline.prefect_server import PrefectServer

NUM_FILES = 12_000
# 512 KiB is what Prefect's server takes.
TOO_LONG = 600_000
LINE_STATS = "line_stats.py"

in_process = pytest.mark.usefixtures("prefect_harness", "accounts", "nothing_left")


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of one file, too many for a parameter, and a cache folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / LINE_STATS).write_text("import shutil, sys; shutil.copy(*sys.argv[1:])")
    return ["./" * 100 + "a.txt"] * 3000


@pytest.mark.usefixtures("nothing_left")
def test_twelve_thousand_files_on_the_command_line(
    prefect_server: PrefectServer, accounts: LocalAzure, tmp_path: Path
) -> None:
    """A glob that the shell expands can have so many: the plan counts all of them."""
    environment = prefect_server.environment | dict(accounts.environment)
    environment["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    names = [f"a text with a rather long name {number:06}.txt" for number in range(NUM_FILES)]
    for name in names:
        (tmp_path / name).write_text("x")
    options = ("--plan", "--json", "--files-per-batch-task", "auto")

    done = run(tmp_path, SCRIPT, *options, *names, environment=environment)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["inputs"] == "12,000 (12.0 kB)"
    (found,) = (tmp_path / "cache").rglob("*.list")
    assert found.read_text() == "".join(f"{name}\0" for name in names)


@pytest.mark.usefixtures("nothing_left")
def test_list_from_a_pipe(
    prefect_server: PrefectServer, accounts: LocalAzure, tmp_path: Path
) -> None:
    """What `find -print0` writes is worked on beside what is named, names with newlines too."""
    environment = prefect_server.environment | dict(accounts.environment)
    names = ["a.txt", "b c.txt", "d\ne.txt"]
    for name in names:
        (tmp_path / name).write_text("x")

    done = subprocess.run(
        [sys.executable, SCRIPT, "--plan", "--json", "a.txt", "--inputs-from", "-"],
        cwd=tmp_path,
        env=environment,
        input="".join(f"{name}\0" for name in names[1:]),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["inputs"] == "3 (3 bytes)"


@in_process
def test_a_hundred_thousand_paths_in_a_flow(texts: list[str]) -> None:
    """`batch_map` gives its flow the list as a file; its run's page has that, and a short name."""
    paths = [*texts, *["a.txt"] * 97_000]

    @flow
    def nightly() -> str:
        """Plan."""
        return batch_map(LINE_STATS, paths, plan_only=True).plan["inputs"]

    assert nightly() == "1 (4 bytes)"
    given = parameters_of("line_stats.py on 100,000 inputs")["inputs"]
    assert set(given) == {"path", "count", "sha256"}
    assert given["count"] == len(paths)
    assert Path(given["path"]).read_text().count("\0") == len(paths)


def parameters_of(name: str) -> dict[str, Any]:
    """Return the parameters of the newest flow run of a name."""
    wanted = FlowRunFilter(name=FlowRunFilterName(any_=[name]))
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=wanted)
    return max(runs, key=lambda run: str(run.created)).parameters


@in_process
def test_flow_that_is_called_with_too_many(texts: list[str]) -> None:
    """Called by itself a flow says what is too long, and how to give it; not Prefect's 422."""
    for called in (
        lambda: top_words(texts),
        lambda: top_words.with_options(name="other")(texts),
        lambda: batch_map.flow(LINE_STATS, texts),
    ):
        with pytest.raises(ConfigurationError, match=r"parameter inputs .*list_file\(paths\)"):
            called()
    with pytest.raises(ConfigurationError, match="parameter selection of flow batch-map is too"):
        batch_map(LINE_STATS, ["a.txt"], selection=Selection(exclude=tuple(texts)))

    result = top_words(list_file(texts), plan_only=True)

    assert result.plan["inputs"] == "1 (4 bytes)"


@pytest.mark.usefixtures("prefect_harness", "accounts", "nothing_left")
def test_run_that_is_resumed_has_its_list(tmp_path: Path, texts: list[str]) -> None:
    """The file that a failed run had is read again; gone or changed it is an error by name."""
    quick = JobSettings(poll_interval_s=0.3, max_task_retry_count=0)
    program = tmp_path / "program.py"
    program.write_text(
        "import os, shutil, sys\n"
        f"os.path.exists({str(tmp_path / 'fixed')!r}) or sys.exit('no luck')\n"
        "shutil.copy(*sys.argv[1:])\n"
    )
    with pytest.raises(PipelineError, match="no luck") as raised:
        batch_map("program.py", texts, job=quick)
    name = "".join(raised.value.__notes__).partition("resume=")[2].split()[0]
    given = ListFile.model_validate(parameters_of("program.py on 3,000 inputs")["inputs"])
    (tmp_path / "fixed").touch()

    content = Path(given.path).read_bytes()
    Path(given.path).write_bytes(content[:-1])
    with pytest.raises(BadInput, match=f"{given.path}' has changed"):
        batch_map("program.py", given, job=quick, resume=name)
    Path(given.path).unlink()
    with pytest.raises(BadInput, match=f"{given.path}' cannot be read on this machine"):
        batch_map("program.py", given, job=quick, resume=name)
    Path(given.path).write_bytes(content)

    (row,) = batch_map("program.py", given, job=quick, resume=name)

    assert Path(row.path).read_text() == "one\n"


def test_list_that_is_not_there(tmp_path: Path) -> None:
    """A list that names nothing is reported before anything starts."""
    done = run(
        tmp_path, SCRIPT, "--local", "--inputs-from", "nowhere", environment={"PATH": "/usr/bin"}
    )

    assert done.returncode == 1
    assert done.stderr == (
        "error: the list of inputs 'nowhere' cannot be read: No such file or directory\n"
    )

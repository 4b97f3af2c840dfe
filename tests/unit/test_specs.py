"""What is sent to the services, without sending it."""

import json
import shlex
import subprocess
from datetime import timedelta
from pathlib import Path, PurePath
from uuid import UUID

import pytest
from azure.batch.models import BatchPoolCreateOptions

from flows import specs
from flows.runs import Run, new_run
from flows.settings import CleanUpPolicy, JobSettings, PoolSettings
from flows.work import BlobPlace, NodeFile, PlannedTask

PROGRAM = PurePath("folder/top_words.py")
AWKWARD = ["plain.txt", "a b.txt", "it's", '"', "$(touch x)", "`touch x`", "a;b|c>d", "-n", "\\"]


@pytest.fixture
def run() -> Run:
    """A run."""
    return new_run(UUID(int=0xABC), 1, JobSettings(), CleanUpPolicy())


def planned(*arguments: str) -> PlannedTask:
    """Plan a batch task that reads one blob."""
    file = NodeFile(BlobPlace("in", "a.txt"), "a.txt")
    return PlannedTask("topNtask0", ("a.txt",), arguments, (file,), ("a_OUTPUT.txt",), ())


def url_of(place: BlobPlace) -> str:
    """Return what stands for a SAS URL."""
    return f"https://{place.container}/{place.name}?sig=read"


@pytest.mark.parametrize("name", AWKWARD)
def test_names_reach_the_program_unchanged(name: str, tmp_path: Path) -> None:
    """Bash hands the input's name to the node program as it is, and runs no part of it."""
    (tmp_path / "top_words.py").write_text("import json, sys; print(json.dumps(sys.argv[1:]))")
    command = specs.node_command(PROGRAM, [f"--filepath={name}", "--numwords", "3"])

    told = subprocess.run(
        shlex.split(command),
        cwd=tmp_path,
        env={"AZ_BATCH_NODE_SHARED_DIR": str(tmp_path), "PATH": "/usr/bin:/bin:/usr/local/bin"},
        capture_output=True,
        check=True,
    ).stdout

    assert json.loads(told) == [f"--filepath={name}", "--numwords", "3"]
    assert [path.name for path in tmp_path.iterdir()] == ["top_words.py"]


@pytest.mark.parametrize(("commands", "exit_code"), [(["false", "true"], 1), (["false | cat"], 1)])
def test_first_failing_command_ends_the_line(commands: list[str], exit_code: int) -> None:
    """A command that fails, in a pipe as well, is the exit code of the whole line."""
    line = shlex.split(specs.shell_command(commands))

    assert subprocess.run(line, check=False).returncode == exit_code


def test_start_task_copies_the_program_and_then_runs_the_extra_command() -> None:
    """The node program is in place before the user's command, which is code on purpose."""
    settings = PoolSettings(start_task_command="apt-get --version | head -1")

    script = shlex.split(specs.start_task(PROGRAM, "https://url", settings).command_line)[2]

    assert script.split("; ")[-2:] == [
        'cp -p -- top_words.py "$AZ_BATCH_NODE_SHARED_DIR"/',
        "apt-get --version | head -1",
    ]


def test_start_task_needs_no_elevation() -> None:
    """The start task runs as a plain user, and nodes wait for its success."""
    task = specs.start_task(PROGRAM, "https://url", PoolSettings()).as_dict()

    assert task["userIdentity"]["autoUser"]["elevationLevel"] == "nonadmin"
    assert task["waitForSuccess"] is True


def test_batch_tasks_run_as_the_user_of_the_start_task() -> None:
    """Batch tasks can read what the start task copied: both are the pool's plain user."""
    start = specs.start_task(PROGRAM, "https://url", PoolSettings()).as_dict()
    task = specs.batch_task(planned(), url_of, "https://out", JobSettings()).as_dict()

    assert task["userIdentity"] == start["userIdentity"]
    assert task["userIdentity"]["autoUser"]["scope"] == "pool"


def a_pool(run: Run, settings: PoolSettings) -> BatchPoolCreateOptions:
    """Build a pool."""
    return specs.pool(run, settings, "agent", specs.start_task(PROGRAM, "https://url", settings))


def test_resize_timeout_is_what_the_service_accepts(run: Run) -> None:
    """A short allocation timeout is ours alone; the service is told its own minimum."""
    assert a_pool(run, PoolSettings(allocation_timeout_s=1)).resize_timeout == timedelta(minutes=5)
    assert a_pool(run, PoolSettings()).resize_timeout == timedelta(seconds=900)


def test_pool_and_job_bear_the_marks(run: Run) -> None:
    """Both have the run's metadata from their creation, and no SAS in it."""
    pool = a_pool(run, PoolSettings()).as_dict()
    job = specs.job(run, JobSettings(), "https://url?sig=x").as_dict()

    for body in (pool, job):
        assert {item["name"]: item["value"] for item in body["metadata"]} == run.metadata
    assert "sig=" not in json.dumps(job["metadata"])


def test_job_does_not_end_by_itself_yet(run: Run) -> None:
    """A new job has no automatic end: an empty one would end at once."""
    assert "onAllTasksComplete" not in specs.job(run, JobSettings(), "https://url").as_dict()


def test_sas_is_on_no_command_line() -> None:
    """The container's SAS is where only the service and the node see it."""
    task = specs.batch_task(planned(), url_of, "https://out?sig=write", JobSettings())

    assert "sig=" not in task.command_line
    assert task.resource_files is not None
    assert task.resource_files[0].http_url == "https://in/a.txt?sig=read"


def test_limits_of_a_batch_task() -> None:
    """Retries, time limit and retention are those of the settings."""
    settings = JobSettings(
        max_task_retry_count=4, batch_task_max_wall_clock_time_s=5, retention_time_s=6
    )
    task = specs.batch_task(planned(), url_of, "https://out", settings)

    assert task.constraints is not None
    assert task.constraints.max_task_retry_count == 4
    assert task.constraints.max_wall_clock_time == timedelta(seconds=5)
    assert task.constraints.retention_time == timedelta(seconds=6)


def test_chunks_are_all_items_in_order() -> None:
    """Chunks hold at most the size asked for, and together everything."""
    assert list(specs.chunks(range(7), 3)) == [range(3), range(3, 6), range(6, 7)]

"""What is sent to the services, without sending it."""

import json
import shlex
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from azure.batch.models import (
    BatchJobCreateOptions,
    BatchJobPreparationTask,
    BatchJobReleaseTask,
    BatchPoolCreateOptions,
    BatchStartTask,
    BatchTaskCreateOptions,
)

from flows.word_count.workload import WordCount
from prefect_azure_batch.model.run import Run, new_run
from prefect_azure_batch.model.tasks import BlobPlace, InputFile, NodeFile, PlannedTask
from prefect_azure_batch.model.workload import Workload
from prefect_azure_batch.service import specs
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings
from prefect_azure_batch.workloads.python_program import PythonProgram

WORD_COUNT = WordCount()
OWN = PythonProgram("folder/my task.py")
SHARED = '"$AZ_BATCH_NODE_SHARED_DIR"'


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


@pytest.mark.parametrize(("commands", "exit_code"), [(["false", "true"], 1), (["false | cat"], 1)])
def test_first_failing_command_ends_the_line(commands: list[str], exit_code: int) -> None:
    """A command that fails, in a pipe as well, is the exit code of the whole line."""
    line = shlex.split(specs.shell_command(commands))

    assert subprocess.run(line, check=False).returncode == exit_code


def a_start_task(
    run: Run, settings: PoolSettings, workload: Workload[Any] = WORD_COUNT
) -> BatchStartTask:
    """Build a start task."""
    return specs.start_task(run, workload, settings, url_of)


def test_start_task_sets_the_node_up_and_then_runs_the_extra_command(run: Run) -> None:
    """The workload's files are in place before the user's command, which is code on purpose."""
    task = a_start_task(run, PoolSettings(start_task_command="apt-get --version | head -1"))

    assert script_of(task) == [*WORD_COUNT.set_up(SHARED), "apt-get --version | head -1"]
    assert task.resource_files is not None
    assert [(file.file_path, file.http_url) for file in task.resource_files] == [
        ("top_words.tar", f"https://{run.application_container}/top_words.tar?sig=read")
    ]


def test_start_task_needs_no_elevation(run: Run) -> None:
    """The start task runs as a plain user, and nodes wait for its success."""
    task = a_start_task(run, PoolSettings()).as_dict()

    assert task["userIdentity"]["autoUser"]["elevationLevel"] == "nonadmin"
    assert task["waitForSuccess"] is True


def test_all_commands_run_as_one_user(run: Run) -> None:
    """Batch tasks can read what the start task or the preparation copied: the same plain user."""
    start = a_start_task(run, PoolSettings()).as_dict()
    task = a_batch_task(run, JobSettings()).as_dict()
    job = a_job(run.on_pool("theirs"), JobSettings()).as_dict()

    assert start["userIdentity"]["autoUser"]["scope"] == "pool"
    for other in (task, job["jobPreparationTask"], job["jobReleaseTask"]):
        assert other["userIdentity"] == start["userIdentity"]


def a_pool(run: Run, settings: PoolSettings) -> BatchPoolCreateOptions:
    """Build a pool."""
    return specs.pool(run, settings, "agent", a_start_task(run, settings))


def a_job(
    run: Run, settings: JobSettings, workload: Workload[Any] = WORD_COUNT
) -> BatchJobCreateOptions:
    """Build a job."""
    return specs.job(run, workload, settings, "https://out?sig=write", url_of)


def a_batch_task(
    run: Run,
    settings: JobSettings,
    workload: Workload[Any] = WORD_COUNT,
    task: PlannedTask | None = None,
) -> BatchTaskCreateOptions:
    """Build a batch task."""
    return specs.batch_task(
        task or planned(), run, workload, settings, "https://out?sig=write", url_of
    )


def script_of(
    task: BatchStartTask | BatchJobPreparationTask | BatchJobReleaseTask | None,
) -> list[str]:
    """Return the commands of a task, but those that set options of bash."""
    assert task is not None
    return shlex.split(task.command_line)[2].split("; ")[2:]


def test_resize_timeout_is_what_the_service_accepts(run: Run) -> None:
    """A short allocation timeout is ours alone; the service gets its own minimum."""
    assert a_pool(run, PoolSettings(allocation_timeout_s=1)).resize_timeout == timedelta(minutes=5)
    assert a_pool(run, PoolSettings()).resize_timeout == timedelta(seconds=900)


def test_pool_and_job_bear_the_marks(run: Run) -> None:
    """Both have the run's metadata from their creation, and no SAS in it."""
    pool = a_pool(run, PoolSettings()).as_dict()
    job = a_job(run, JobSettings()).as_dict()

    for body in (pool, job):
        assert {item["name"]: item["value"] for item in body["metadata"]} == run.metadata
    assert "sig=" not in json.dumps(job["metadata"])


def test_job_does_not_end_by_itself_yet(run: Run) -> None:
    """A new job has no automatic end: an empty one would end at once."""
    assert "onAllTasksComplete" not in a_job(run, JobSettings()).as_dict()


def test_nodes_are_dedicated_and_spot(run: Run) -> None:
    """Both numbers reach the service, and no formula."""
    pool = a_pool(run, PoolSettings(dedicated_nodes=2, spot_nodes=3, task_slots_per_node=8))

    assert (pool.target_dedicated_nodes, pool.target_low_priority_nodes) == (2, 3)
    assert (pool.enable_auto_scale, pool.auto_scale_formula) == (False, None)
    assert pool.task_slots_per_node == 8


def test_formula_takes_the_place_of_numbers(run: Run) -> None:
    """A pool with a formula has no targets of its own, and is sized as often as Azure allows."""
    pool = a_pool(run, PoolSettings(autoscale_formula="$TargetDedicatedNodes = 1", max_nodes=5))

    assert (pool.target_dedicated_nodes, pool.target_low_priority_nodes) == (None, None)
    assert pool.enable_auto_scale is True
    assert str(pool.auto_scale_formula).startswith("$TargetDedicatedNodes = 1;\n")
    assert pool.auto_scale_evaluation_interval == timedelta(minutes=5)


def test_job_has_its_priority_and_nothing_to_prepare(run: Run) -> None:
    """A job on the run's own pool needs no preparation: the start task brings the files."""
    job = a_job(run, JobSettings(priority=-7))

    assert job.priority == -7
    assert job.job_preparation_task is None
    assert job.job_release_task is None


def test_commands_of_preparation_and_release(run: Run) -> None:
    """The user's commands are run as they are; a release alone brings an empty preparation."""
    both = a_job(run, JobSettings(preparation_command="echo a | cat", release_command="echo b"))
    release = a_job(run, JobSettings(release_command="echo b"))

    assert script_of(both.job_preparation_task) == ["echo a | cat"]
    assert script_of(both.job_release_task) == ["echo b"]
    assert script_of(release.job_preparation_task) == []


def test_job_brings_its_files_to_an_existing_pool(run: Run) -> None:
    """They lie in a folder that only this job uses, and go before the user's release command."""
    run = run.on_pool("theirs")
    job = a_job(run, JobSettings(preparation_command="echo a", release_command="false"))
    folder = f"{SHARED}/{run.job_id}"

    assert job.pool_info.pool_id == "theirs"
    assert script_of(job.job_preparation_task) == [
        f"mkdir -p -- {folder}",
        *WORD_COUNT.set_up(folder),
        "echo a",
    ]
    assert job.job_preparation_task is not None
    assert job.job_preparation_task.resource_files is not None
    assert [file.file_path for file in job.job_preparation_task.resource_files] == ["top_words.tar"]
    assert script_of(job.job_release_task) == [f"rm -rf -- {folder}", "false"]
    task = a_batch_task(run, JobSettings())
    assert f"python3 {folder}/top_words/top_words.py" in task.command_line


@pytest.mark.parametrize(
    ("keeps_all", "condition"), [(True, "taskcompletion"), (False, "taskfailure")]
)
def test_logs_are_kept_of_failures_or_of_all(run: Run, condition: str, *, keeps_all: bool) -> None:
    """The setting says whether stdout and stderr of a success are worth an upload."""
    task = a_batch_task(run, JobSettings(keep_all_logs=keeps_all)).as_dict()

    assert task["outputFiles"][0]["uploadOptions"] == {"uploadCondition": condition}


def test_sas_is_on_no_command_line(run: Run) -> None:
    """The container's SAS is where only the service and the node see it."""
    task = a_batch_task(run, JobSettings())

    assert "sig=" not in task.command_line
    assert task.resource_files is not None
    assert task.resource_files[0].http_url == "https://in/a.txt?sig=read"


def test_program_that_uploads_by_itself_is_given_the_container(run: Run) -> None:
    """It has the write-only URL in the variable that the workload names, in all batch tasks."""
    job = a_job(run, JobSettings())

    assert job.common_environment_settings is not None
    assert [(item.name, item.value) for item in job.common_environment_settings] == [
        ("TOP_WORDS_CONTAINER_URL", "https://out?sig=write")
    ]


def test_variables_hold_the_urls_of_blobs(run: Run) -> None:
    """A program that reads a part of a blob has its read-only URL in the environment alone."""
    place = BlobPlace("in", "huge.txt")
    part = PlannedTask("part", ("huge.txt",), (), (), (), (), read_urls=(("INPUT_URL", place),))

    task = a_batch_task(run, JobSettings(), task=part)

    assert task.environment_settings is not None
    assert [(item.name, item.value) for item in task.environment_settings] == [
        ("INPUT_URL", "https://in/huge.txt?sig=read")
    ]
    assert not task.resource_files
    assert "sig=" not in task.command_line


def test_own_program_is_given_no_sas(run: Run) -> None:
    """The service uploads its output after a success; nothing that it can see has a signature."""
    job = a_job(run, JobSettings(), OWN).as_dict()
    ((of_a,),) = OWN.plan(run, [InputFile("a.txt", 1, "/in/a.txt")], PoolSettings())
    task = a_batch_task(run, JobSettings(), OWN, of_a)

    assert "sig=" not in json.dumps(job)
    assert not task.environment_settings
    assert "sig=" not in task.command_line
    assert task.output_files is not None
    upload = task.output_files[-1].as_dict()
    assert upload["filePattern"] == "uploaded-output"
    assert upload["uploadOptions"] == {"uploadCondition": "tasksuccess"}
    assert upload["destination"]["container"] == {
        "path": "a_OUTPUT.txt",
        "containerUrl": "https://out?sig=write",
    }


def test_own_program_is_installed_as_it_is(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is run under its name and not compiled, on a pool of the run's own and on another."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "my task.py").touch()
    start = a_start_task(run, PoolSettings(), OWN)
    job = a_job(run.on_pool("theirs"), JobSettings(), OWN)
    task = a_batch_task(run, JobSettings(), OWN, planned("in", "out"))

    assert script_of(start) == [f"cp -p -- 'my task.py' {SHARED}/"]
    assert script_of(job.job_preparation_task)[1:] == [
        f"cp -p -- 'my task.py' {SHARED}/{run.job_id}/"
    ]
    assert f"python3 {SHARED}/'my task.py' in out" in shlex.split(task.command_line)[2]


def test_limits_of_a_batch_task(run: Run) -> None:
    """Retries, time limit and retention are those of the settings."""
    settings = JobSettings(
        max_task_retry_count=4, batch_task_max_wall_clock_time_s=5, retention_time_s=6
    )
    task = a_batch_task(run, settings)

    assert task.constraints is not None
    assert task.constraints.max_task_retry_count == 4
    assert task.constraints.max_wall_clock_time == timedelta(seconds=5)
    assert task.constraints.retention_time == timedelta(seconds=6)

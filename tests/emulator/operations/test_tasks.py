"""Tasks of the Batch emulator: creation, results, environment, and their end from outside."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from azure.batch import BatchClient, models
from azure.core.exceptions import ResourceExistsError

from tests.support.emulator import builders as kit
from tests.support.emulator.emulators import ACCOUNT, Emulator
from tests.support.processes import wait_until


def add(
    batch: BatchClient, job: str, *tasks: models.BatchTaskCreateOptions
) -> list[models.BatchTaskCreateResult]:
    """Add tasks in one request and return its results."""
    group = models.BatchTaskGroup(task_values=list(tasks))
    return list(batch.create_task_collection(job, group).result_values or [])


def test_create_fills_in_the_defaults(batch: BatchClient) -> None:
    """What the client did not say reads as the service's default."""
    job = kit.a_job(batch, "no-such-pool")
    task = batch.get_task(job, kit.a_task(batch, job)).as_dict()

    defaults = {
        "state": "active",
        "requiredSlots": 1,
        "userIdentity": {"autoUser": {"scope": "pool", "elevationLevel": "nonadmin"}},
        "constraints": {
            "maxWallClockTime": "P10675199DT2H48M5.4775807S",
            "retentionTime": "P7D",
            "maxTaskRetryCount": 0,
        },
        "executionInfo": {"retryCount": 0, "requeueCount": 0},
    }
    assert defaults.items() <= task.items()
    assert "nodeInfo" not in task


def test_success_is_a_result(batch: BatchClient, pool: str, job: str) -> None:
    """A completed task that succeeded has exit code 0, its times and its node."""
    task = kit.run(batch, job, "true")

    info = kit.info_of(task)
    assert (info.result, info.exit_code, info.failure_info) == ("success", 0, None)
    assert info.start_time is not None
    assert info.end_time is not None
    assert info.start_time <= info.end_time
    assert task.node_info is not None
    assert task.node_info.node_id == kit.node_of(batch, pool).id


@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -9 $$", 137)])
def test_another_exit_code_is_a_failure(
    batch: BatchClient, job: str, script: str, code: int
) -> None:
    """Completed is not success; a signal counts as 128 and its number."""
    task = kit.run(batch, job, kit.sh(script))

    info = kit.info_of(task)
    assert (info.result, info.exit_code) == ("failure", code)
    assert info.failure_info is not None
    assert (info.failure_info.category, info.failure_info.code) == ("UserError", "FailureExitCode")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("no-such-program --really", "CommandProgramNotFound"),
        ("/etc/passwd", "CommandLaunchFailed"),
        ("echo 'never closed", "CommandLaunchFailed"),
    ],
)
def test_a_command_that_cannot_start(batch: BatchClient, job: str, command: str, code: str) -> None:
    """There is no exit code then, but a failure with an end."""
    info = kit.info_of(kit.run(batch, job, command))

    assert (info.result, info.exit_code) == ("failure", None)
    assert info.end_time is not None
    assert info.failure_info is not None
    assert info.failure_info.code == code


def test_no_shell_unless_it_is_named(batch: BatchClient, job: str) -> None:
    """Variables, pipes and substitutions are plain words to the program."""
    task = kit.run(batch, job, "echo $HOME `id` | cat; 'two words' > x")

    assert kit.read(batch, job, str(task.id)) == "$HOME `id` | cat; two words > x\n"


def test_the_environment_of_a_task(batch: BatchClient, job: str, emulator: Emulator) -> None:
    """It names account, job and task, and its folders lie below the node's root."""
    text = kit.said(batch, job, "env", id="me")
    seen = dict(line.partition("=")[::2] for line in text.splitlines())

    root = Path(seen["AZ_BATCH_NODE_ROOT_DIR"])
    task_dir = root / "workitems" / job / "job-1" / "me"
    expected = {
        "AZ_BATCH_ACCOUNT_NAME": ACCOUNT,
        "AZ_BATCH_ACCOUNT_URL": emulator.url,
        "AZ_BATCH_JOB_ID": job,
        "AZ_BATCH_TASK_ID": "me",
        "AZ_BATCH_NODE_IS_DEDICATED": "true",
        "AZ_BATCH_TASK_DIR": str(task_dir),
        "AZ_BATCH_TASK_WORKING_DIR": str(task_dir / "wd"),
        "AZ_BATCH_NODE_SHARED_DIR": str(root / "shared"),
        "AZ_BATCH_NODE_STARTUP_DIR": str(root / "startup"),
    }
    assert expected.items() <= seen.items()


def test_nothing_of_the_emulators_environment_reaches_a_task(batch: BatchClient, job: str) -> None:
    """Besides AZ_BATCH_* there is only what every node has."""
    text = kit.said(batch, job, "env")

    names = {line.partition("=")[0] for line in text.splitlines()}
    own = {name for name in names if not name.startswith("AZ_BATCH_")}
    assert own <= {"PATH", "HOME", "LANG", "PWD", "OLDPWD", "SHLVL", "_"}


def test_a_task_runs_in_its_empty_working_directory(batch: BatchClient, job: str) -> None:
    """The working directory is the task's own `wd`."""
    assert (
        kit.said(batch, job, 'ls -A; test "$PWD" = "$AZ_BATCH_TASK_WORKING_DIR"; echo $?') == "0\n"
    )


def test_tasks_of_a_node_share_a_folder(batch: BatchClient, job: str) -> None:
    """What one task puts into the shared folder the next one finds."""
    kit.run(batch, job, kit.sh('echo hello >"$AZ_BATCH_NODE_SHARED_DIR/x"'))

    assert kit.said(batch, job, 'cat "$AZ_BATCH_NODE_SHARED_DIR/x"') == "hello\n"


def test_a_task_sees_a_plain_python(batch: BatchClient, job: str) -> None:
    """python3 on a node is not a virtual environment of the emulator's."""
    script = "python3 -c 'import sys; print(sys.prefix == sys.base_prefix)'"

    assert kit.said(batch, job, script) == "True\n"


def test_ids_are_unique_whatever_their_case(batch: BatchClient) -> None:
    """A task is found by, and collides with, its id in another case."""
    job = kit.a_job(batch, "no-such-pool")
    kit.a_task(batch, job, id="Task")

    assert batch.get_task(job, "tASK").id == "Task"
    with kit.refused(409, "TaskExists"):
        kit.a_task(batch, job, id="TASK")


@pytest.mark.parametrize("task_id", ["", "a b", "ü", "x" * 65, "../x"])
def test_ids_have_their_letters(batch: BatchClient, task_id: str) -> None:
    """An id has 1 to 64 letters, digits, hyphens and underscores."""
    job = kit.a_job(batch, "no-such-pool")
    with kit.refused(400, "InvalidPropertyValue"):
        kit.a_task(batch, job, id=task_id)


def test_a_blank_command_is_refused(batch: BatchClient) -> None:
    """Blanks name no program."""
    job = kit.a_job(batch, "no-such-pool")
    with kit.refused(400, "InvalidPropertyValue"):
        kit.a_task(batch, job, "  ")


def test_what_is_missing_is_refused(batch: BatchClient) -> None:
    """Multi-instance tasks are not there: a 501, never ignored."""
    job = kit.a_job(batch, "no-such-pool")
    settings = models.MultiInstanceSettings(coordination_command_line="true")
    with kit.refused(501, "NotImplementedByEmulator") as caught:
        kit.a_task(batch, job, multi_instance_settings=settings)
    assert "multiInstanceSettings" in str(caught.value)


def test_a_collection_has_a_result_for_each_task(batch: BatchClient) -> None:
    """One bad task among good ones fails alone."""
    job = kit.a_job(batch, "no-such-pool")
    kit.a_task(batch, job, id="b")

    results = add(batch, job, *(kit.task_options(id=task_id) for task_id in ("a", "b", "c")))

    assert [(item.task_id, item.status) for item in results] == [
        ("a", "success"),
        ("b", "clienterror"),
        ("c", "success"),
    ]
    assert results[1].error is not None
    assert results[1].error.code == "TaskExists"


def test_a_task_twice_in_a_collection(batch: BatchClient) -> None:
    """The first is created, the second exists."""
    job = kit.a_job(batch, "no-such-pool")

    results = add(batch, job, kit.task_options(id="a"), kit.task_options(id="A"))

    assert [item.status for item in results] == ["success", "clienterror"]


def test_more_than_a_hundred_tasks_are_too_many(batch: BatchClient) -> None:
    """None of them is created."""
    job = kit.a_job(batch, "no-such-pool")
    with kit.refused(413, "RequestBodyTooLarge"):
        add(batch, job, *(kit.task_options() for _ in range(101)))
    assert not list(batch.list_tasks(job))


def test_more_than_a_megabyte_is_too_large(batch: BatchClient) -> None:
    """The SDK sends smaller collections then, until they pass."""
    job = kit.a_job(batch, "no-such-pool")
    tasks = [kit.task_options(kit.sh("x" * 30_000), id=str(number)) for number in range(60)]
    with kit.refused(413, "RequestBodyTooLarge"):
        add(batch, job, *tasks)

    batch.create_tasks(job, tasks)

    assert len(list(batch.list_tasks(job))) == 60


def test_list_is_in_order_of_creation(batch: BatchClient) -> None:
    """All tasks are listed, the oldest first."""
    job = kit.a_job(batch, "no-such-pool")
    ids = [kit.a_task(batch, job) for _ in range(3)]

    assert [task.id for task in batch.list_tasks(job)] == ids


def test_get_of_a_missing_task(batch: BatchClient) -> None:
    """Job and task are distinguished."""
    job = kit.a_job(batch, "no-such-pool")
    with kit.refused(404, "TaskNotFound"):
        batch.get_task(job, "none")
    with kit.refused(404, "JobNotFound"):
        batch.get_task("nowhere", "none")


def test_replace_changes_only_the_constraints(batch: BatchClient) -> None:
    """The whole task may come back; its command stays."""
    job = kit.a_job(batch, "no-such-pool")
    task = batch.get_task(job, kit.a_task(batch, job, "true"))
    task.constraints = kit.constraints(retries=4)
    task.command_line = "false"

    batch.replace_task(job, str(task.id), task)

    task = batch.get_task(job, str(task.id))
    assert task.command_line == "true"
    assert task.constraints is not None
    assert task.constraints.max_task_retry_count == 4


def test_the_job_gives_its_tasks_their_retries(batch: BatchClient) -> None:
    """A task without a retry count has that of its job."""
    limits = models.BatchJobConstraints(max_task_retry_count=2)
    job = kit.a_job(batch, "no-such-pool", constraints=limits)

    given = batch.get_task(job, kit.a_task(batch, job)).constraints

    assert given is not None
    assert given.max_task_retry_count == 2


def test_terminate_of_an_active_task(batch: BatchClient) -> None:
    """It is completed at once, without having run."""
    job = kit.a_job(batch, "no-such-pool")
    task_id = kit.a_task(batch, job)

    batch.terminate_task(job, task_id)

    task = batch.get_task(job, task_id)
    assert (task.state, kit.failure_code(task)) == ("completed", "TaskEnded")
    assert kit.info_of(task).start_time is None


def test_terminate_of_a_running_task(batch: BatchClient, job: str) -> None:
    """It is completed as failed, and its slot goes to the next one."""
    task_id = kit.a_task(batch, job, kit.sh("exec sleep 60"))
    kit.reach(batch, job, task_id, "running")

    batch.terminate_task(job, task_id)

    task = batch.get_task(job, task_id)
    assert (task.state, kit.info_of(task).result) == ("completed", "failure")
    assert kit.failure_code(task) == "TaskEnded"
    kit.run(batch, job, "true")


def test_terminate_of_a_completed_task(batch: BatchClient, job: str) -> None:
    """There is nothing left to end."""
    task = kit.run(batch, job, "true")
    with kit.refused(409, "TaskCompleted"):
        batch.terminate_task(job, str(task.id))


def test_delete_of_an_active_task(batch: BatchClient) -> None:
    """It is gone."""
    job = kit.a_job(batch, "no-such-pool")
    task_id = kit.a_task(batch, job)

    batch.delete_task(job, task_id)

    with kit.refused(404, "TaskNotFound"):
        batch.get_task(job, task_id)


def test_a_deleted_task_frees_its_slot(batch: BatchClient, job: str) -> None:
    """The next task runs as soon as the process is gone."""
    task_id = kit.a_task(batch, job, kit.sh("exec sleep 60"))
    kit.reach(batch, job, task_id, "running")

    batch.delete_task(job, task_id)

    assert kit.info_of(kit.run(batch, job, "true")).result == "success"


def test_a_task_of_the_same_id_at_once(batch: BatchClient, job: str) -> None:
    """A new task of an old id gets a folder and a result of its own, however fast it comes."""
    for number in range(20):
        kit.a_task(batch, job, kit.sh("touch old; exec sleep 60"), id="same")
        if number % 2:
            kit.reach(batch, job, "same", "running")

        batch.delete_task(job, "same")
        heard = kit.said(batch, job, f"ls; echo {number}", id="same")

        assert heard == f"{number}\n"
        batch.delete_task(job, "same")


def test_deleted_at_any_moment_of_its_run(batch: BatchClient, job: str) -> None:
    """Whenever it is deleted, the slot comes back and the job goes on."""
    for _ in range(40):
        batch.delete_task(job, kit.a_task(batch, job, "true"))

    assert kit.info_of(kit.run(batch, job, "true")).result == "success"


def test_terminated_at_any_moment_of_its_run(batch: BatchClient, pool: str, job: str) -> None:
    """A task that ends by itself meanwhile is one or the other, and frees its slot once."""
    for _ in range(40):
        task = kit.a_task(batch, job, "true")
        # It may be completed already: a conflict.
        with suppress(ResourceExistsError):
            batch.terminate_task(job, task)

    assert kit.info_of(kit.run(batch, job, "true")).result == "success"
    assert kit.node_of(batch, pool).running_tasks_count in (0, 1)
    counts = batch.get_job_task_counts(job).task_counts
    assert (counts.active, counts.running, counts.completed) == (0, 0, 41)


def test_many_tasks_at_once(batch: BatchClient) -> None:
    """Hundreds of tasks on many slots all succeed."""
    job = kit.a_job(batch, kit.a_pool(batch, target_dedicated_nodes=2, task_slots_per_node=8))
    with ThreadPoolExecutor(4) as threads:
        chunks = [[kit.task_options() for _ in range(50)] for _ in range(4)]
        assert all(threads.map(lambda tasks: add(batch, job, *tasks), chunks))

    counts = batch.get_job_task_counts
    wait_until(lambda: counts(job).task_counts.completed == 200, timeout_s=30)

    failed = "executionInfo/result eq 'failure'"
    assert not list(batch.list_tasks(job, filter=failed))


@pytest.mark.parametrize("required_slots", [2, 3])
def test_a_task_may_need_several_slots(batch: BatchClient, required_slots: int) -> None:
    """It takes them all, and runs alone where it needs more than half."""
    pool = kit.a_pool(batch, task_slots_per_node=4)
    job = kit.a_job(batch, pool)
    tasks = [
        kit.a_task(batch, job, kit.sh("exec sleep 60"), required_slots=required_slots)
        for _ in range(2)
    ]
    kit.reach(batch, job, tasks[0], "running")

    second_fits = required_slots == 2
    kit.reach(batch, job, tasks[1], "running" if second_fits else "active")

    assert kit.node_of(batch, pool).running_task_slots_count == (4 if second_fits else 3)

"""What jobs were about when the emulator was killed goes on after its restart."""

import pytest
from azure.batch import BatchClient, models

from tests.support.emulator import builders as kit
from tests.support.emulator.emulators import Account
from tests.support.processes import wait_until


def becomes(client: BatchClient, job: str, state: str) -> None:
    """Wait until a job is in a state."""
    wait_until(lambda: client.get_job(job).state == state)


def test_a_dependent_still_waits(account: Account) -> None:
    """It runs when the rest of its dependencies has succeeded, after the restart."""
    client = account.client()
    job = kit.a_job(client, kit.a_pool(client), uses_task_dependencies=True)
    on = models.BatchTaskDependencies(task_ids=["done", "open"])
    kit.a_task(client, job, id="waits", depends_on=on)
    kit.run(client, job, "true", id="done")

    client = account.again()

    assert client.get_task(job, "waits").state == "active"
    kit.a_task(client, job, id="open")
    assert kit.info_of(kit.reach(client, job, "waits", "completed")).result == "success"


@pytest.mark.parametrize("option", ["requeue", "wait"])
def test_a_disabling_job_is_disabled(account: Account, option: str) -> None:
    """Nothing of it runs after the restart, and it waits to be enabled."""
    client = account.client()
    job = kit.a_job(client, kit.a_pool(client))
    task = kit.a_task(client, job, kit.sh("exec sleep 60"))
    kit.reach(client, job, task, "running")
    disable = models.BatchJobDisableOptions(disable_tasks=option)
    client.begin_disable_job(job, disable, polling_interval=1)

    client = account.again()

    becomes(client, job, "disabled")
    assert client.get_task(job, task).state == "active"
    client.begin_enable_job(job, polling_interval=1)
    kit.reach(client, job, task, "running")


def test_a_preparation_that_was_cut_short_runs_again(account: Account) -> None:
    """The node that is prepared again takes the task; one that was prepared stays so."""
    client = account.client()
    count = 'echo x >>"$AZ_BATCH_NODE_SHARED_DIR/n"; '
    script = count + 'test $(wc -l <"$AZ_BATCH_NODE_SHARED_DIR/n") = 2 || sleep 60'
    before = models.BatchJobPreparationTask(command_line=kit.sh(script))
    job = kit.a_job(client, kit.a_pool(client), job_preparation_task=before)
    task = kit.a_task(client, job)
    wait_until(lambda: list(client.list_job_preparation_and_release_task_status(job)))
    wait_until(lambda: account.emulator.task_pids("sleep 60"))

    client = account.again()
    kit.reach(client, job, task, "completed")
    client = account.again()

    assert kit.said(client, job, 'wc -l <"$AZ_BATCH_NODE_SHARED_DIR/n"').strip() == "2"


def test_a_release_that_was_cut_short_runs_again(account: Account) -> None:
    """The job is completed only when it has run to its end, and its own pool is gone then."""
    client = account.client()
    spec = models.BatchPoolSpecification(
        vm_size="standard_d2s_v5", virtual_machine_configuration=kit.IMAGE, target_dedicated_nodes=1
    )
    automatic = models.BatchAutoPoolSpecification(pool_lifetime_option="job", pool=spec)
    mark = '"$AZ_BATCH_NODE_SHARED_DIR/again"'
    script = f"test -e {mark} && exit 0; touch {mark}; exec sleep 69"
    job = kit.a_job(
        client,
        "",
        pool_info=models.BatchPoolInfo(auto_pool_specification=automatic),
        job_preparation_task=models.BatchJobPreparationTask(command_line="true"),
        job_release_task=models.BatchJobReleaseTask(command_line=kit.sh(script)),
    )
    kit.run(client, job, "true")
    kit.terminate_job(client, job)
    wait_until(lambda: account.emulator.task_pids("sleep 69"))

    client = account.again()

    becomes(client, job, "completed")
    (found,) = client.list_job_preparation_and_release_task_status(job)
    info = found.job_release_task_execution_info
    assert info is not None
    assert info.result == "success"
    wait_until(lambda: not list(client.list_pools()))


def test_a_manager_that_ran_still_ends_its_job(account: Account) -> None:
    """It runs again, and its end is the job's."""
    client = account.client()
    mark = '"$AZ_BATCH_NODE_SHARED_DIR/again"'
    script = f"test -e {mark} && exit 0; touch {mark}; exec sleep 60"
    manager = models.BatchJobManagerTask(id="manager", command_line=kit.sh(script))
    job = kit.a_job(client, kit.a_pool(client), job_manager_task=manager)
    wait_until(lambda: account.emulator.task_pids("sleep 60"))

    client = account.again()

    becomes(client, job, "completed")
    assert kit.info_of(client.get_task(job, "manager")).result == "success"

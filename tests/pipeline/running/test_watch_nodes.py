"""What goes wrong with pools and nodes: while others work, the run continues, else it ends."""

import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from azure.batch.models import (
    BatchJobDisableOptions,
    BatchJobPreparationTask,
)

from local_azure.batch.controls.faults import Kind, Rule
from local_azure.client import Control
from prefect_azure_batch.errors import (
    NodesNotReady,
    NodeUnusable,
    NothingRuns,
    PoolError,
    PoolResizeFailed,
    ServiceError,
    StartTaskFailed,
)
from prefect_azure_batch.model.run import new_run
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.dead_mans_switch import while_needed
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings
from tests.support.emulator.builders import a_job, sh
from tests.support.pipeline.watched import JOB, Watched, a_watched, until_seen, wait_for_event
from tests.support.processes import wait_until

pytestmark = pytest.mark.usefixtures("prefect_harness")

IMPATIENT = PoolSettings(allocation_timeout_s=1)
NOW = datetime.now(UTC)
SWITCH = while_needed(1, 0, NOW + timedelta(hours=1), NOW + timedelta(hours=2))


def succeeded(watched: Watched) -> list[bool]:
    """Watch to the end and return which batch tasks succeeded."""
    return [ending.succeeded for ending in watched.wait().values()]


def is_steady(services: Services, pool_id: str) -> bool:
    """Return whether a pool has the nodes that it gets."""
    return services.batch.get_pool(pool_id).allocation_state == "steady"


def on_existing_pool(older: Watched) -> Watched:
    """Return a younger run with a job on the pool of another; its preparation does nothing."""
    run = new_run(uuid4(), 1, JOB, CleanUpPolicy()).on_pool(older.run.pool_id)
    nothing = BatchJobPreparationTask(command_line=sh("true"))
    a_job(older.services.batch, run.pool_id, id=run.job_id, job_preparation_task=nothing)
    return Watched(older.services, run)


def test_start_task_that_fails_on_one_node_is_warned_of(
    controlled_services: Services, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A run whose other node works continues, and says with stderr what failed."""
    start = f"mkdir {tmp_path}/first || {{ echo one is enough >&2; exit 7; }}"
    watched = a_watched(controlled_services, start=start, target_dedicated_nodes=2)

    with until_seen(tmp_path, "starttaskfailed") as script:
        watched.add(script, script)
        assert succeeded(watched) == [True, True]

    (warned,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "exit code 7" in warned.getMessage()
    assert "one is enough" in warned.getMessage()
    event = wait_for_event(watched.run, "azure-batch.node.starttaskfailed")
    assert event.resource.id.startswith(f"azure-batch.node.{watched.run.pool_id}.")


def test_start_task_that_fails_everywhere_is_the_end(controlled_services: Services) -> None:
    """With no node left that could work, the run ends at once with the start task's stderr."""
    watched = a_watched(
        controlled_services, start="echo no such luck >&2; exit 9", target_dedicated_nodes=2
    )
    watched.add("true")

    with pytest.raises(StartTaskFailed, match=r"exit code 9(.|\n)*no such luck"):
        watched.wait()


def test_end_of_a_huge_stderr_alone_is_read(controlled_services: Services) -> None:
    """A start task that runs wild costs neither its bytes in memory nor the end of its stderr."""
    megabytes = 30
    wild = f"head -c {megabytes}000000 /dev/zero | tr '\\0' x >&2"
    watched = a_watched(controlled_services, start=f"{wild}; echo >&2; echo no luck >&2; exit 9")
    watched.add("true")

    tracemalloc.start()
    try:
        with pytest.raises(StartTaskFailed, match="no luck"):
            watched.wait()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < megabytes * 10**6 / 3


def test_unusable_node_beside_a_good_one_is_warned_of(
    controlled_services: Services,
    control: Control,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its batch task runs again on the other node."""
    watched = a_watched(controlled_services, target_dedicated_nodes=2)

    with until_seen(tmp_path, "unusable") as script:
        watched.add(script, script)
        broken, _ = watched.wait_for_nodes(2, "running")
        control.break_node(watched.run.pool_id, broken)
        assert succeeded(watched) == [True, True]

    assert f"node {broken} is unusable" in caplog.text


def test_only_node_unusable_is_the_end(controlled_services: Services, control: Control) -> None:
    """No other node works and none is coming."""
    watched = a_watched(controlled_services)
    watched.add("sleep 60")
    (node,) = watched.wait_for_nodes(1, "running")
    control.break_node(watched.run.pool_id, node)

    with pytest.raises(NodeUnusable, match=node):
        watched.wait()


def test_several_causes_are_named_together(
    controlled_services: Services, control: Control, tmp_path: Path
) -> None:
    """One node broke and the start task failed on the other: the error has both."""
    start = f"mkdir {tmp_path}/first || {{ echo one is enough >&2; exit 7; }}"
    watched = a_watched(controlled_services, start=start, target_dedicated_nodes=2)
    watched.add("sleep 60")
    (node,) = watched.wait_for_nodes(1, "running")
    watched.wait_for_nodes(1, "starttaskfailed")
    control.break_node(watched.run.pool_id, node)

    with pytest.raises(NothingRuns, match=r"exit code 7(.|\n)*one is enough") as raised:
        watched.wait()

    assert f"node {node} is unusable" in str(raised.value)


def test_preempted_spot_node_comes_back(
    controlled_services: Services, control: Control, caplog: pytest.LogCaptureFixture
) -> None:
    """The run continues on the next node, and says so."""
    control.add_fault(Rule(kind=Kind.NODE_LOST, first=1, seconds=0.3))
    watched = a_watched(controlled_services, target_dedicated_nodes=0, target_low_priority_nodes=1)
    watched.add("sleep 1")

    endings = watched.wait()

    assert endings["topNtask0"].succeeded
    assert endings["topNtask0"].num_requeues == 1
    assert "was preempted" in caplog.text
    wait_for_event(watched.run, "azure-batch.node.preempted")


def test_pool_that_cannot_grow_is_the_end(controlled_services: Services, control: Control) -> None:
    """A quota that gives no node at all is named at once."""
    control.add_fault(Rule(kind=Kind.RESIZE, code="AccountCoreQuotaReached"))
    watched = a_watched(controlled_services)
    watched.add("true")

    with pytest.raises(PoolResizeFailed, match=r"AccountCoreQuotaReached.*pool\.dedicated_nodes"):
        watched.wait()

    event = wait_for_event(watched.run, "azure-batch.pool.resize-failed")
    assert "AccountCoreQuotaReached" in event.payload["reason"]


@pytest.mark.parametrize(
    ("formula", "error"),
    [(SWITCH, PoolResizeFailed), ("$TargetDedicatedNodes = 1;", NodesNotReady)],
    ids=["switch", "own"],
)
def test_autoscaled_pool_that_cannot_grow(
    controlled_services: Services, control: Control, formula: str, error: type[PoolError]
) -> None:
    """The dead man's switch asks for the same nodes again; a person's formula may ask for others.

    So only with the latter it is waited until the time for nodes is over.
    """
    control.add_fault(Rule(kind=Kind.RESIZE, code="AccountCoreQuotaReached"))
    watched = a_watched(
        controlled_services,
        target_dedicated_nodes=None,
        enable_auto_scale=True,
        auto_scale_formula=formula,
    )
    watched.add("true")

    with pytest.raises(error, match="AccountCoreQuotaReached"):
        watched.wait(PoolSettings(allocation_timeout_s=5))


def test_pool_that_got_some_nodes_works(
    controlled_services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    """A quota that gives one node of two is warned of once."""
    watched = a_watched(controlled_services, vm_size="standard_d64s_v5", target_dedicated_nodes=2)
    wait_until(lambda: is_steady(controlled_services, watched.run.pool_id))
    watched.add("sleep 0.5")

    assert succeeded(watched) == [True]

    assert caplog.text.count("cannot grow") == 1


def test_old_resize_error_of_an_existing_pool_is_no_news(
    controlled_services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    """What a pool did not get for somebody else, before this run, is not this run's trouble."""
    older = a_watched(controlled_services, vm_size="standard_d64s_v5", target_dedicated_nodes=2)
    wait_until(lambda: is_steady(controlled_services, older.run.pool_id))
    watched = on_existing_pool(older)
    watched.add("true")

    assert succeeded(watched) == [True]

    assert "cannot grow" not in caplog.text


def test_existing_pool_without_nodes_is_the_end(
    controlled_services: Services, control: Control
) -> None:
    """It gets none by itself, and an old resize error is not taken for the cause."""
    control.add_fault(Rule(kind=Kind.RESIZE, first=1))
    older = a_watched(controlled_services)
    wait_until(lambda: is_steady(controlled_services, older.run.pool_id))
    watched = on_existing_pool(older)
    watched.add("true")

    with pytest.raises(NothingRuns, match="no nodes and gets none: resize it"):
        watched.wait()


def test_nodes_that_take_too_long(controlled_services: Services, control: Control) -> None:
    """After the allocation timeout the error says what the nodes were doing."""
    control.set_delay("boot", None)
    watched = a_watched(controlled_services)
    watched.add("true")

    with pytest.raises(NodesNotReady, match=r"1 creating.*allocation_timeout_s"):
        watched.wait(IMPATIENT)

    control.set_delay("boot", 0)
    control.release("boot")


def test_formula_that_asks_for_no_nodes(
    controlled_services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    """It may ask for more at its next evaluation, so it is warned of, and named at the end."""
    watched = a_watched(
        controlled_services,
        target_dedicated_nodes=None,
        enable_auto_scale=True,
        auto_scale_formula="$TargetDedicatedNodes = 0;",
    )
    watched.add("true")

    with pytest.raises(NodesNotReady, match=r"asks for no nodes: see pool\.autoscale_formula"):
        watched.wait(IMPATIENT)

    assert caplog.text.count("nothing runs on pool") == 1


def test_formula_that_fails_is_reported(controlled_services: Services) -> None:
    """The service's message about the formula is in the error."""
    watched = a_watched(
        controlled_services,
        target_dedicated_nodes=None,
        enable_auto_scale=True,
        auto_scale_formula="$TargetDedicatedNodes = 1 / 0;",
    )
    watched.add("true")

    with pytest.raises(NodesNotReady, match=r"AutoScalingFormulaEvaluationError.*fix"):
        watched.wait(IMPATIENT)


def test_disabled_job_is_the_end(controlled_services: Services) -> None:
    """Nobody but who disabled the job can let it continue."""
    watched = a_watched(controlled_services)
    watched.add("sleep 60")
    watched.wait_for_nodes(1, "running")
    options = BatchJobDisableOptions(disable_tasks="requeue")
    controlled_services.batch.begin_disable_job(watched.run.job_id, options, polling_interval=60)

    with pytest.raises(NothingRuns, match="is disabled: somebody did that"):
        watched.wait()


def test_deleted_pool_is_the_end(controlled_services: Services, control: Control) -> None:
    """A pool that somebody deletes runs nothing any more."""
    control.set_delay("removal", None)
    watched = a_watched(controlled_services)
    watched.add("true")
    watched.wait_for_nodes(1, "idle")
    controlled_services.batch.begin_delete_pool(watched.run.pool_id, polling_interval=60)
    watched.add("true")

    with pytest.raises(NothingRuns, match="the pool is being deleted"):
        watched.wait()

    control.set_delay("removal", 0)
    control.release("removal")


def test_pool_that_is_gone_is_the_end(controlled_services: Services) -> None:
    """The service's word for it comes with advice."""
    watched = a_watched(controlled_services)
    controlled_services.batch.begin_delete_pool(watched.run.pool_id, polling_interval=60)
    wait_until(lambda: not list(controlled_services.batch.list_pools()))
    watched.add("true")

    with pytest.raises(ServiceError, match=r"PoolNotFound.*somebody else deleted the pool"):
        watched.wait()


def test_job_preparation_that_fails_everywhere_is_the_end(controlled_services: Services) -> None:
    """Batch would let the batch tasks wait for ever; the error has the preparation's stderr."""
    preparation = BatchJobPreparationTask(
        command_line=sh("echo not prepared >&2; exit 5"), wait_for_success=True
    )
    watched = a_watched(controlled_services, job={"job_preparation_task": preparation})
    watched.add("true")

    with pytest.raises(NothingRuns, match=r"exit code 5(.|\n)*not prepared"):
        watched.wait(job=JobSettings(poll_interval_s=0.2, preparation_command="exit 5"))

"""The pool as the settings ask for it, or one that somebody else has made; and the job on it."""

import contextvars
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from azure.batch.models import BatchStartTask, VirtualMachineConfiguration

from flows.top_words import top_words
from flows.word_count.settings import CountSettings
from local_azure.batch.controls.faults import Kind, Rule
from local_azure.client import Control
from prefect_azure_batch.errors import ConfigurationError, ServiceError
from prefect_azure_batch.model.run import Run, new_run
from prefect_azure_batch.running.job import create_job
from prefect_azure_batch.running.pool import check_existing_pool, create_pool
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings
from tests.support.contexts import a_context
from tests.support.emulator.builders import IMAGE, a_pool, pool_options, sh
from tests.support.paths import PROJECT
from tests.support.processes import wait_until

pytestmark = pytest.mark.usefixtures("prefect_harness")

SAMPLE = str(PROJECT / "data" / "taskdata1.txt")
QUICK = CountSettings(poll_interval_s=0.3)
THEIRS = sh('echo theirs >"$AZ_BATCH_NODE_SHARED_DIR/theirs"')

MEETING = """
import pathlib, sys, time
pathlib.Path("{here}/{name}.here").touch()
deadline = time.monotonic() + 60
while not pathlib.Path("{here}/{other}.here").exists():
    if time.monotonic() > deadline:
        sys.exit("the other did not come")
    time.sleep(0.05)
pathlib.Path(sys.argv[2]).write_text("{name}")
"""
"""A program that works only while that of another run does."""


@pytest.fixture
def run() -> Run:
    """A run that has nothing."""
    return new_run(uuid4(), 1, QUICK, CleanUpPolicy())


@pytest.fixture
def their_pool(services: Services, nothing_left: None) -> Iterator[str]:  # noqa: ARG001 - looks after this one is gone
    """A pool of one node that somebody else has made, with a start task of their own."""
    start = BatchStartTask(command_line=THEIRS, wait_for_success=True)
    pool_id = a_pool(services.batch, start_task=start, task_slots_per_node=2)
    yield pool_id
    services.batch.begin_delete_pool(pool_id, polling_interval=1)
    wait_until(lambda: pool_id not in {pool.id for pool in services.batch.list_pools()})


def existing(pool_id: str) -> PoolSettings:
    """Return the settings that ask for an existing pool."""
    return PoolSettings(existing_pool_id=pool_id)


def shared_files(services: Services, pool_id: str) -> set[str]:
    """Return what is in the shared folders of a pool's nodes."""
    return {
        str(file.name)
        for node in services.batch.list_nodes(pool_id)
        for file in services.batch.list_node_files(pool_id, node.id, recursive=True)
        if str(file.name).startswith("shared/")
    }


def test_existing_pool_stays_as_it_is(services: Services, their_pool: str) -> None:
    """A run on somebody's pool counts, and leaves pool and nodes as they were."""
    before = services.batch.get_pool(their_pool)

    words = top_words([SAMPLE], 1, pool=existing(their_pool), job=QUICK).words

    after = services.batch.get_pool(their_pool)
    assert len(words["taskdata1.txt"]) == 1
    assert after.as_dict() == before.as_dict()
    assert shared_files(services, their_pool) == {"shared/theirs"}


def test_two_runs_share_a_pool(services: Services, their_pool: str, tmp_path: Path) -> None:
    """Runs at the same time on one node have each their own program, of the same name."""

    def work(name: str, other: str) -> str:
        """Run the flow with a program that waits for the other run's; return what it says."""
        (tmp_path / name).mkdir()
        program = tmp_path / name / "program.py"
        program.write_text(MEETING.format(here=tmp_path, name=name, other=other))
        job = QUICK.model_copy(update={"program": str(program)})
        folder = str(tmp_path / name / "out")
        made = top_words([SAMPLE], output_dir=folder, pool=existing(their_pool), job=job)
        return Path(made.outputs["taskdata1.txt"].path).read_text()

    with ThreadPoolExecutor() as threads:
        calls = [
            threads.submit(partial(contextvars.copy_context().run, work, *names))
            for names in (("one", "two"), ("two", "one"))
        ]

    assert [call.result() for call in calls] == ["one", "two"]
    assert shared_files(services, their_pool) == {"shared/theirs"}


def test_settings_of_an_existing_pool_are_its_own(services: Services, their_pool: str) -> None:
    """What the plan reckons with is what the pool has, whatever else was asked for."""
    asked = PoolSettings(
        existing_pool_id=their_pool, vm_size="other", dedicated_nodes=7, task_slots_per_node=9
    )

    found = check_existing_pool(services, asked)

    assert (found.vm_size, found.dedicated_nodes, found.spot_nodes) == ("standard_d2s_v5", 1, 0)
    assert found.task_slots_per_node == 2


def test_absent_pool(services: Services, their_pool: str) -> None:
    """A pool that is not there is an error that names those that are."""
    with pytest.raises(ConfigurationError, match=rf"no pool 'absent' \(it has {their_pool}\)"):
        check_existing_pool(services, existing("absent"))


@pytest.mark.parametrize(
    ("options", "objection"),
    [
        ({"target_dedicated_nodes": 0}, "at 0 nodes, without an autoscale formula"),
        (
            {"start_task": BatchStartTask(command_line=sh("false"), wait_for_success=True)},
            "no node can work, and none is coming; nodes: 1 starttaskfailed",
        ),
        (
            {
                "virtual_machine_configuration": VirtualMachineConfiguration(
                    image_reference=IMAGE.image_reference,
                    node_agent_sku_id="batch.node.windows amd64",
                )
            },
            "not Linux",
        ),
    ],
)
def test_pool_that_cannot_work(
    controlled_services: Services, options: dict[str, object], objection: str
) -> None:
    """A pool on which no batch task would ever run is refused, with the reason."""
    given = pool_options()
    for name, value in options.items():
        setattr(given, name, value)
    controlled_services.batch.create_pool(given)

    def is_steady() -> bool:
        """Look whether all nodes have come to rest."""
        nodes = controlled_services.batch.list_nodes(given.id)
        pool = controlled_services.batch.get_pool(given.id)
        at_rest = {node.state for node in nodes} <= {"idle", "starttaskfailed"}
        return pool.allocation_state == "steady" and at_rest

    wait_until(is_steady)

    with pytest.raises(ConfigurationError, match=f"pool {given.id} cannot be used .*{objection}"):
        check_existing_pool(controlled_services, existing(given.id))


def test_pool_that_is_going(controlled_services: Services, control: Control) -> None:
    """A pool that is being deleted is refused."""
    pool_id = a_pool(controlled_services.batch)
    control.set_delay("removal", None)
    controlled_services.batch.begin_delete_pool(pool_id, polling_interval=60)

    with pytest.raises(ConfigurationError, match="its state is deleting"):
        check_existing_pool(controlled_services, existing(pool_id))

    control.set_delay("removal", 0)
    control.release("removal")


def test_pool_that_grows(controlled_services: Services, control: Control) -> None:
    """A pool without nodes is taken if some are coming, or a formula can ask for them."""
    control.set_delay("allocation", None)
    growing, scaled = pool_options(), pool_options()
    scaled.target_dedicated_nodes = None
    scaled.enable_auto_scale = True
    scaled.auto_scale_formula = "$TargetDedicatedNodes = 0;"
    for pool in (growing, scaled):
        controlled_services.batch.create_pool(pool)

    for pool in (growing, scaled):
        assert (
            check_existing_pool(controlled_services, existing(pool.id)).existing_pool_id == pool.id
        )

    control.set_delay("allocation", 0)
    control.release("allocation")


@pytest.mark.usefixtures("nothing_left")
def test_spot_nodes_alone() -> None:
    """A pool of nothing but spot nodes does the work."""
    is_spot = 'test "$AZ_BATCH_NODE_IS_DEDICATED" = false'
    pool = PoolSettings(dedicated_nodes=0, spot_nodes=1, start_task_command=is_spot)

    assert top_words([SAMPLE], 1, pool=pool, job=QUICK).words["taskdata1.txt"]


@pytest.mark.usefixtures("nothing_left")
def test_pool_that_a_formula_sizes() -> None:
    """A pool whose nodes come from an autoscale formula does the work."""
    formula = "$TargetDedicatedNodes = min(2, 1 + max($PendingTasks.GetSample(1)));"
    pool = PoolSettings(dedicated_nodes=0, autoscale_formula=formula)

    assert top_words([SAMPLE], 1, pool=pool, job=QUICK).words["taskdata1.txt"]


@pytest.mark.parametrize(
    ("formula", "targets"),
    [
        ("$TargetDedicatedNodes = 9; $TargetLowPriorityNodes = 9;", (3, 0)),
        ("$TargetDedicatedNodes = 1; $TargetLowPriorityNodes = 9", (1, 2)),
        ("$TargetDedicatedNodes = 0 - 9;\n$TargetLowPriorityNodes = 9;\n", (0, 3)),
    ],
)
def test_formula_keeps_to_the_limit(
    controlled_services: Services, run: Run, formula: str, targets: tuple[int, int]
) -> None:
    """Whatever a formula asks for, the pool has no more than the most nodes of the settings."""
    pool = PoolSettings(autoscale_formula=formula, max_nodes=3)

    create_pool(a_context(controlled_services, run, pool=pool))

    found = controlled_services.batch.get_pool(run.pool_id)
    assert (found.target_dedicated_nodes, found.target_low_priority_nodes) == targets


@pytest.mark.usefixtures("nothing_left")
def test_formula_with_a_mistake(services: Services, run: Run) -> None:
    """A formula that the service cannot read is an error that names the setting."""
    pool = PoolSettings(autoscale_formula="$TargetDedicatedNodes = $Nonsense;")

    with pytest.raises(ServiceError, match=r"\$Nonsense.*fix pool\.autoscale_formula"):
        create_pool(a_context(services, run, pool=pool))


@pytest.mark.usefixtures("nothing_left")
def test_preparation_and_release(tmp_path: Path) -> None:
    """The user's commands run on the node, before its batch tasks and when the job has ended."""
    marks = tmp_path / "marks"
    job = QUICK.model_copy(
        update={
            "preparation_command": f"echo prepared >>{marks}",
            "release_command": f"echo released >>{marks}",
        }
    )
    (tmp_path / "other.txt").write_text("word")

    top_words([SAMPLE, str(tmp_path / "other.txt")], 1, job=job)

    assert marks.read_text().split() == ["prepared", "released"]


def test_job_has_its_priority(controlled_services: Services, run: Run) -> None:
    """Priority and limit of the job are those of the settings."""
    pool_id = a_pool(controlled_services.batch, target_dedicated_nodes=0)
    settings = JobSettings(priority=-3, max_wall_clock_time_s=99)

    create_job(a_context(controlled_services, run.on_pool(pool_id), job=settings))

    job = controlled_services.batch.get_job(run.job_id)
    assert job.priority == -3
    assert job.constraints is not None
    assert job.constraints.max_wall_clock_time is not None
    assert job.constraints.max_wall_clock_time.total_seconds() == 99


@pytest.fixture
def creations(controlled_services: Services, run: Run) -> dict[str, Callable[[], None]]:
    """What creates pool and job."""
    pool_id = a_pool(controlled_services.batch, target_dedicated_nodes=0)
    return {
        "create_pool": lambda: create_pool(a_context(controlled_services, run)),
        "create_job": lambda: create_job(a_context(controlled_services, run.on_pool(pool_id))),
    }


@pytest.mark.parametrize(
    ("operation", "code", "advice"),
    [
        ("create_pool", "PoolQuotaReached", "delete unused pools, or ask for a larger quota"),
        ("create_job", "ActiveJobAndScheduleQuotaReached", "delete or terminate jobs, or ask"),
    ],
)
def test_full_quota_is_named_at_once(
    control: Control,
    creations: dict[str, Callable[[], None]],
    operation: str,
    code: str,
    advice: str,
) -> None:
    """A quota that is used up is named after one call, with what can be done."""
    control.add_fault(Rule(kind=Kind.ERROR, operation=operation, status=409, code=code))

    with pytest.raises(ServiceError, match=f"{code}.*{advice}"):
        creations[operation]()

    assert [rule["hits"] for rule in control.faults()] == [1]

"""What the janitor deletes and what it leaves alone, on the services and on Prefect's server."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from uuid import UUID, uuid4

import pytest

from prefect_azure_batch.errors import RunIsAlive
from prefect_azure_batch.janitor import janitor
from prefect_azure_batch.model.run import HEARTBEAT_BLOB
from prefect_azure_batch.ownership.dead_run_deletion import Removal, delete_dead_runs
from prefect_azure_batch.ownership.heartbeat import Heartbeat
from prefect_azure_batch.ownership.heartbeat_blob import RunState, look_at_heartbeat
from prefect_azure_batch.ownership.inventory import take_inventory
from prefect_azure_batch.service.clients import Services
from tests.pipeline.conftest import leftovers
from tests.support.pipeline.estates import (
    LIMIT_S,
    Left,
    MakeLeft,
    create_job,
    create_pool,
    estate_of,
    row_of,
)
from tests.support.processes import wait_until

pytestmark = pytest.mark.usefixtures("prefect_harness", "accounts")

JANITOR = UUID(int=0xCAFE)


def removed(left: Left, holder: UUID = JANITOR) -> Removal:
    """Let a janitor delete a run that it has seen now."""
    return delete_dead_runs(left.services, [estate_of(left)], holder)[0]


def test_dead_run_is_deleted(services: Services, dead: Left) -> None:
    """Of a run that has been silent for its limit everything is deleted."""
    assert len(dead.names()) == 5

    row = row_of(janitor(), dead)

    assert leftovers(services) == []
    assert row["verdict"] == "dead"
    assert str(row["done"]).startswith(f"deleted job {dead.run.job_id}, pool {dead.run.pool_id}")


def test_live_run_is_left_alone(make_left: MakeLeft, dead: Left) -> None:
    """A run whose heartbeat is fresh keeps everything, beside a dead one that keeps nothing."""
    live = make_left()

    report = janitor()

    assert row_of(report, live)["verdict"] == "alive"
    assert len(live.names()) == 5
    assert dead.names() == []
    live.heartbeat.check()


def test_young_run_is_left_alone(make_left: MakeLeft, services: Services) -> None:
    """A run without a heartbeat is left alone while it is younger than its limit, and no longer."""
    young = make_left()
    young.heartbeat.stop()
    blobs = services.blobs.get_container_client(young.run.application_container)
    blobs.delete_blob(HEARTBEAT_BLOB)

    assert str(row_of(janitor(), young)["why"]).startswith("no heartbeat")
    assert len(young.names()) == 5

    wait_until(lambda: estate_of(young).liveness.state == "dead", 3 * LIMIT_S)
    janitor()
    assert young.names() == []


def test_evidence_is_left_until_its_time_is_over(make_left: MakeLeft) -> None:
    """What a run keeps stays until the time written in its heartbeat, and goes after it."""
    kept = make_left()
    kept.heartbeat.mark_kept(datetime.now(UTC) + timedelta(seconds=4))

    assert row_of(janitor(), kept)["verdict"] == "kept"
    assert len(kept.names()) == 5

    wait_until(lambda: estate_of(kept).liveness.state == "dead", 10)
    janitor()
    assert kept.names() == []


def test_what_a_kept_run_had_no_time_to_delete_is_deleted(make_left: MakeLeft) -> None:
    """A run that died before it had deleted what it does not keep loses that, and no more."""
    # A janitor's flow run can take seconds.
    kept = make_left(limit_s=3 * LIMIT_S)
    kept.heartbeat.mark_kept(datetime.now(UTC) + timedelta(hours=1), ["containers", "job"])
    pool = f"pool {kept.run.pool_id}"

    assert row_of(janitor(), kept)["done"] == "left alone"
    wait_until(lambda: estate_of(kept).waste.pool, 9 * LIMIT_S)
    assert row_of(janitor(dry_run=True), kept)["done"] == "would lose pool"
    assert row_of(janitor(), kept)["done"] == f"deleted {pool}"

    assert len(kept.names()) == 4
    assert estate_of(kept).liveness.state == "kept"
    seen = estate_of(kept).evidence.sighting
    assert seen
    assert seen.beat.kept == ("containers", "job")


def test_what_is_past_delete_after_is_deleted(make_left: MakeLeft) -> None:
    """No evidence stays longer than the marks of its run say."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    kept = make_left(delete_after=past.isoformat())
    kept.heartbeat.mark_kept(datetime.now(UTC) + timedelta(hours=1))

    janitor()

    assert kept.names() == []


def test_dry_run_deletes_nothing(dead: Left) -> None:
    """A dry run says what it would delete, and how many nodes are billed."""
    report = janitor(dry_run=True)

    assert row_of(report, dead)["done"] == "would be deleted whole"
    assert len(dead.names()) == 5
    seen = look_at_heartbeat(dead.services.blobs, dead.run)
    assert seen
    assert seen.beat.state is RunState.RUNNING


def test_nodes_that_are_billed_are_counted(make_left: MakeLeft, services: Services) -> None:
    """The report says how many nodes there are, of which run."""
    left = make_left(nodes=2)
    wait_until(lambda: services.batch.get_pool(left.run.pool_id).current_dedicated_nodes == 2, 20)

    report = janitor(dry_run=True)

    assert row_of(report, left)["nodes"] == 2
    assert report.summary.startswith("nodes billed when it looked: 2 of our runs, 2 in the account")


@pytest.mark.parametrize(
    "marks",
    [
        {},
        {"created_by": "somebody"},
        {"created_by": "batch-top-words"},
        {"created_by": "batch-top-words", "flow_run_id": uuid4().hex},
    ],
    ids=["no marks", "of others", "of no run", "of another run"],
)
def test_foreign_resources_are_left_alone(services: Services, marks: dict[str, str]) -> None:
    """Neither a name like ours nor our marks alone make a resource ours."""
    name = f"tw-{uuid4().hex}"
    create_pool(services, f"{name}-1", marks)
    services.blobs.create_container(f"{name}-application", metadata=marks)

    report = janitor()

    assert len(leftovers(services)) == 2
    assert {row["verdict"] for row in report.rows} <= {"not ours"}
    services.batch.begin_delete_pool(f"{name}-1").result()
    services.blobs.delete_container(f"{name}-application")


@pytest.mark.parametrize("mark", ["delete_after", "heartbeat", "heartbeat_limit_s"])
def test_damaged_marks_are_reported(make_left: MakeLeft, mark: str) -> None:
    """A silent run whose marks cannot be read is reported and left alone."""
    left = make_left(**{mark: "?"})
    left.fall_silent()

    row = row_of(janitor(), left)

    assert (row["verdict"], row["done"]) == ("unclear", "left alone")
    assert mark in str(row["why"])
    assert len(left.names()) == 5


def test_damaged_heartbeat_is_reported(dead: Left, services: Services) -> None:
    """A heartbeat that cannot be read proves nothing; its run is reported and left alone."""
    blob = services.blobs.get_blob_client(dead.run.application_container, HEARTBEAT_BLOB)
    blob.upload_blob(b"{", overwrite=True)

    row = row_of(janitor(), dead)

    assert (row["verdict"], row["done"]) == ("unclear", "left alone")
    assert len(dead.names()) == 5


def test_damaged_heartbeat_past_delete_after(make_left: MakeLeft, services: Services) -> None:
    """A run that is waste by its marks is deleted even if its heartbeat cannot be read."""
    past = datetime.now(UTC) - timedelta(seconds=LIMIT_S + 1)
    left = make_left(delete_after=past.isoformat())
    left.heartbeat.stop()
    blob = services.blobs.get_blob_client(left.run.application_container, HEARTBEAT_BLOB)
    blob.upload_blob(b"{", overwrite=True)

    janitor()

    assert left.names() == []


def test_pool_on_which_others_work_is_left_alone(dead: Left, make_left: MakeLeft) -> None:
    """A dead run's pool that another run has adopted stays as long as that run's job."""
    guest = make_left()
    other = guest.run.in_attempt(2)
    create_job(dead.services, other, other.metadata, dead.run.pool_id)

    row = row_of(janitor(), dead)

    assert row["why"] == f"others work on its pool: {other.job_id}"
    assert len(dead.names()) == 5


def test_pool_without_containers_is_deleted(dead: Left, services: Services) -> None:
    """What is left of a run whose containers are gone is found by its marks."""
    for name in dead.run.containers:
        services.blobs.delete_container(name)
    wait_until(lambda: estate_of(dead).liveness.state == "dead", 3 * LIMIT_S)

    removal = removed(dead)

    assert removal.problem is None
    assert leftovers(services) == []


def test_run_that_somebody_continues_is_left_alone(dead: Left) -> None:
    """A run that is resumed between two looks of the janitor is left alone."""
    found = estate_of(dead)
    resumed = Heartbeat(dead.services.blobs, dead.run, uuid4())
    resumed.take(LIMIT_S, 0)

    removal = delete_dead_runs(dead.services, [found], JANITOR)[0]
    resumed.stop()

    assert removal.done.startswith("left alone: heartbeat of ")
    assert not removal.is_taken
    assert len(dead.names()) == 5


def test_run_that_is_being_deleted_is_not_continued(dead: Left) -> None:
    """Whoever wants to resume a run while a janitor has it is refused."""
    busy = Heartbeat(dead.services.blobs, dead.run, JANITOR, state=RunState.DELETING)
    busy.take_unless_changed(look_at_heartbeat(dead.services.blobs, dead.run))

    with pytest.raises(RunIsAlive, match=JANITOR.hex):
        Heartbeat(dead.services.blobs, dead.run, uuid4()).take(LIMIT_S, 0)
    assert removed(dead).done.startswith(f"left alone: flow run {JANITOR.hex} is deleting it")

    busy.stop()


def test_dead_janitor_is_followed(dead: Left, services: Services) -> None:
    """What a janitor was about to delete when it died, the next one deletes."""
    died = Heartbeat(dead.services.blobs, dead.run, JANITOR, state=RunState.DELETING)
    died.take_unless_changed(look_at_heartbeat(dead.services.blobs, dead.run))
    dead.services.blobs.delete_container(dead.run.output_container)
    died.stop()
    wait_until(lambda: estate_of(dead).liveness.state == "dead", 3 * LIMIT_S)

    assert removed(dead, uuid4()).problem is None

    assert leftovers(services) == []


def test_two_janitors_at_once(services: Services, make_left: MakeLeft) -> None:
    """Of several janitors one deletes each run; the others find it taken or gone."""
    made = [make_left() for _ in range(4)]
    for left in made:
        left.fall_silent()
    runs = take_inventory(services).runs
    barrier = Barrier(3)

    def clean(holder: UUID) -> list[Removal]:
        """Begin when all are ready."""
        barrier.wait()
        return delete_dead_runs(services, runs, holder)

    with ThreadPoolExecutor(3) as threads:
        done = [
            item for some in threads.map(clean, map(UUID, map(hex32, range(3)))) for item in some
        ]

    assert leftovers(services) == []
    assert [item.problem for item in done] == [None] * 12
    assert sorted(item.run_id for item in done if item.is_taken) == [
        found.run.flow_run_id for found in runs
    ]


def hex32(number: int) -> str:
    """Return a number as the digits of an id."""
    return f"{number:032x}"

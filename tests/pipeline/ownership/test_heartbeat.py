"""The heartbeat: one process at a time works on a run, and everybody can see whether it does."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from uuid import UUID, uuid4

import pytest
from azure.storage.blob import BlobServiceClient

from blocks import AzureStorageCredentials
from local_azure.stack import LocalAzure
from prefect_azure_batch.errors import (
    HeartbeatDamaged,
    HeartbeatLost,
    RunIsAlive,
    RunIsOver,
    RunLost,
    RunTakenOver,
)
from prefect_azure_batch.model.run import HEARTBEAT_BLOB, Run, new_run
from prefect_azure_batch.ownership.heartbeat import Heartbeat
from prefect_azure_batch.ownership.heartbeat_blob import Beat, RunState, look_at_heartbeat
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, Outcome
from tests.support.pipeline.lines import Line
from tests.support.processes import wait_until

LIMIT_S = 2
OWNER = UUID(int=0xA)

MakeHeartbeat = Callable[..., Heartbeat]


@pytest.fixture
def run(blob_service: BlobServiceClient) -> Iterator[Run]:
    """A run that has nothing but its application container."""
    clean_up = CleanUpPolicy(heartbeat_limit_s=LIMIT_S)
    run = new_run(uuid4(), 0, JobSettings(), clean_up)
    blob_service.create_container(run.application_container, metadata=run.metadata)
    yield run
    blob_service.delete_container(run.application_container)


@pytest.fixture
def make(run: Run, blob_service: BlobServiceClient) -> Iterator[MakeHeartbeat]:
    """Make heartbeats of the run by flow run; their threads are ended."""
    made = []

    def of(holder: UUID = OWNER, blobs: BlobServiceClient = blob_service) -> Heartbeat:
        made.append(Heartbeat(blobs, run, holder, said.append))
        return made[-1]

    said: list[str] = []
    yield of
    for heartbeat in made:
        heartbeat.stop()


@pytest.fixture
def line(local_azure: LocalAzure) -> Iterator[Line]:
    """A line to Azurite."""
    with Line(local_azure.blob_url) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.cut()
        server.shutdown()
        thread.join()


@pytest.fixture
def far(local_azure: LocalAzure, line: Line) -> Iterator[BlobServiceClient]:
    """A client at the other end of the line."""
    name = "AZURE_STORAGE_CONNECTION_STRING"
    near = local_azure.environment[name]
    url = local_azure.blob_url
    port = url.rsplit(":", 1)[1].split("/")[0]
    block = AzureStorageCredentials.from_environment({name: near.replace(port, str(line.port))})
    with block.get_client() as client:
        yield client


def take(heartbeat: Heartbeat, age_s: float = 1000) -> None:
    """Take the run, which is old unless another age is given."""
    heartbeat.take(LIMIT_S, age_s)


def beat(blobs: BlobServiceClient, run: Run) -> Beat:
    """Return what the blob says."""
    seen = look_at_heartbeat(blobs, run)
    assert seen
    return seen.beat


def is_lost(heartbeat: Heartbeat) -> bool:
    """Return whether the process of a heartbeat may no longer continue."""
    try:
        heartbeat.check()
    except RunLost:
        return True
    return False


def test_damaged_heartbeat_is_not_taken(
    make: MakeHeartbeat, run: Run, blob_service: BlobServiceClient
) -> None:
    """Nobody knows who works on such a run: a resume says so, and what to do."""
    blob = blob_service.get_blob_client(run.application_container, HEARTBEAT_BLOB)
    blob.upload_blob(b"not a heartbeat")

    with pytest.raises(HeartbeatDamaged, match=f"{run.name} is damaged.*delete the blob"):
        take(make())

    assert blob.download_blob().readall() == b"not a heartbeat"


def test_it_beats(make: MakeHeartbeat, run: Run, blob_service: BlobServiceClient) -> None:
    """A taken run has its blob written again and again, by a thread, until it is stopped."""
    heartbeat = make()
    take(heartbeat)
    seen = look_at_heartbeat(blob_service, run)
    assert seen

    wait_until(lambda: look_at_heartbeat(blob_service, run) != seen, LIMIT_S)
    heartbeat.check()

    assert beat(blob_service, run).holder == OWNER.hex


def test_no_heartbeat_before_it_is_taken(
    make: MakeHeartbeat, run: Run, blob_service: BlobServiceClient
) -> None:
    """A run that nobody has taken has no heartbeat, and its check stops nothing."""
    make().check()

    assert look_at_heartbeat(blob_service, run) is None


def test_live_run_is_not_taken(make: MakeHeartbeat, run: Run) -> None:
    """Another flow run is refused while the heartbeat is fresh, and the error says who has it."""
    take(make())

    with pytest.raises(RunIsAlive, match=f"{run.name} is alive: flow run {OWNER.hex}.* 2 s"):
        take(make(uuid4()))


def test_silent_run_is_taken(make: MakeHeartbeat) -> None:
    """A run that was silent for its limit is taken; the old process, back again, finds out."""
    old, new = make(), make(uuid4())
    take(old)
    old.open_attempt(7)
    old.stop()

    wait_until(lambda: not is_refused(new), 3 * LIMIT_S)

    assert new.attempt == 7
    with pytest.raises(RunTakenOver, match="deletes nothing"):
        old.renew()


def is_refused(heartbeat: Heartbeat) -> bool:
    """Return whether a heartbeat is refused the run, which it takes otherwise."""
    try:
        take(heartbeat)
    except RunIsAlive:
        return True
    return False


def test_retry_follows_at_once(make: MakeHeartbeat) -> None:
    """A new process of the same flow run takes the run, and the old one stops by itself."""
    old, new = make(), make()
    take(old)

    take(new)

    wait_until(lambda: is_lost(old), LIMIT_S)
    with pytest.raises(RunTakenOver):
        old.check()
    new.check()


def test_what_is_kept_is_taken_at_once(
    make: MakeHeartbeat, run: Run, blob_service: BlobServiceClient
) -> None:
    """What is kept says until when, and can be continued without waiting."""
    old, new = make(), make(uuid4())
    until = datetime.now(UTC) + timedelta(hours=1)
    take(old)

    old.mark_kept(until)

    kept = beat(blob_service, run)
    assert (kept.state, kept.until) == (RunState.KEPT, until)
    take(new)
    assert beat(blob_service, run).state is RunState.RUNNING


def test_run_that_is_deleted_is_taken_when_that_is_done(
    make: MakeHeartbeat, run: Run, blob_service: BlobServiceClient
) -> None:
    """Nobody continues what is kept while its own run still deletes the rest."""
    old, new = make(), make(uuid4())
    take(old)
    old.mark_ended(datetime.now(UTC) + timedelta(hours=1), ["containers"], Outcome.FAILED)

    with pytest.raises(RunIsAlive):
        take(new)
    old.finish()

    assert beat(blob_service, run).kept == ("containers",)
    take(new)


@pytest.mark.parametrize(("kept", "is_over"), [(["pool"], True), (["containers"], False)])
def test_good_run_is_continued_only_if_its_outputs_are_there(
    make: MakeHeartbeat, kept: list[str], *, is_over: bool
) -> None:
    """Without its containers a run that has succeeded would be counted again from nothing."""
    old, new = make(), make(uuid4())
    take(old)
    old.mark_ended(datetime.now(UTC) + timedelta(hours=1), kept, Outcome.SUCCEEDED)
    old.finish()

    refused = None
    try:
        take(new)
    except RunIsOver as error:
        refused = error

    assert (refused is not None) is is_over


def test_lost_heartbeat_does_not_spoil_the_end(
    make: MakeHeartbeat, run: Run, blob_service: BlobServiceClient
) -> None:
    """A run that is deleted ends in peace if somebody deletes its heartbeat, and makes no other."""
    heartbeat = make()
    take(heartbeat)
    heartbeat.mark_ended(datetime.now(UTC) + timedelta(hours=1), ["containers"], Outcome.FAILED)
    blob_service.get_blob_client(run.application_container, HEARTBEAT_BLOB).delete_blob()

    heartbeat.finish()

    assert look_at_heartbeat(blob_service, run) is None


def test_end_of_a_lost_run_promises_nothing(
    make: MakeHeartbeat, run: Run, blob_service: BlobServiceClient
) -> None:
    """If another process has the run, what was kept is no longer for this one to report."""
    warnings: list[str] = []
    old = Heartbeat(blob_service, run, OWNER, warnings.append)
    take(old)
    take(make())
    with pytest.raises(RunTakenOver):
        old.mark_ended(datetime.now(UTC) + timedelta(hours=1), ["containers"], Outcome.FAILED)

    old.finish()

    assert warnings == []


def test_waiting_run_is_alive_without_beating(
    make: MakeHeartbeat, run: Run, blob_service: BlobServiceClient
) -> None:
    """A run that waits for a person is left alone until its time and its limit are over."""
    new, now = make(uuid4()), datetime.now(UTC)
    waiting = Beat(
        holder=OWNER.hex, process="p", state=RunState.WAITING, until=now + timedelta(hours=1)
    )
    write(blob_service, run, waiting)
    wait_until(lambda: age_s(blob_service, run) > LIMIT_S, 3 * LIMIT_S)

    with pytest.raises(RunIsAlive):
        take(new)
    write(blob_service, run, waiting.model_copy(update={"until": now}))

    wait_until(lambda: not is_refused(new), 3 * LIMIT_S)


def write(blobs: BlobServiceClient, run: Run, content: Beat) -> None:
    """Write a heartbeat by hand."""
    blob = blobs.get_blob_client(run.application_container, HEARTBEAT_BLOB)
    blob.upload_blob(content.model_dump_json(), overwrite=True)


def age_s(blobs: BlobServiceClient, run: Run) -> float:
    """Return how old a heartbeat is."""
    seen = look_at_heartbeat(blobs, run)
    assert seen
    return seen.age_s


def test_young_run_without_heartbeat_is_not_taken(make: MakeHeartbeat, run: Run) -> None:
    """Before the first beat the age of the container counts, but not for the run itself."""
    with pytest.raises(RunIsAlive):
        take(make(), age_s=1)

    take(make(UUID(run.flow_run_id)), age_s=1)


def test_deleted_heartbeat_stays_deleted(
    make: MakeHeartbeat, run: Run, blob_service: BlobServiceClient
) -> None:
    """A live run whose heartbeat somebody deletes stops, and does not write it again."""
    heartbeat = make()
    take(heartbeat)

    blob_service.get_blob_client(run.application_container, HEARTBEAT_BLOB).delete_blob()

    wait_until(lambda: is_lost(heartbeat), LIMIT_S)
    with pytest.raises(HeartbeatLost, match="somebody deleted it"):
        heartbeat.check()
    assert look_at_heartbeat(blob_service, run) is None


def test_short_outage_is_survived(line: Line, far: BlobServiceClient, make: MakeHeartbeat) -> None:
    """An outage that is shorter than the limit changes nothing."""
    heartbeat = make(OWNER, far)
    take(heartbeat)

    line.cut()
    wait_until(lambda: heartbeat.trouble, LIMIT_S)
    line.restore()
    wait_until(lambda: not heartbeat.trouble, LIMIT_S)

    heartbeat.check()


def test_long_outage_ends_the_run(line: Line, far: BlobServiceClient, make: MakeHeartbeat) -> None:
    """A heartbeat that could not be written for its limit ends the run, even if it could again."""
    heartbeat = make(OWNER, far)
    take(heartbeat)

    line.cut()
    wait_until(lambda: is_lost(heartbeat), 2 * LIMIT_S)
    line.restore()

    with pytest.raises(
        HeartbeatLost, match=r"could not be written for 2 s, and 2 s is its limit .*resume=tw-"
    ):
        heartbeat.check()
    heartbeat.renew()


def test_lost_answer_is_not_a_take_over(
    run: Run, line: Line, far: BlobServiceClient, make: MakeHeartbeat
) -> None:
    """A write whose answer was lost is recognised as one's own."""
    heartbeat = make(OWNER, far)
    take(heartbeat)

    line.lose_an_answer()
    wait_until(lambda: heartbeat.trouble, LIMIT_S)
    wait_until(lambda: not heartbeat.trouble, LIMIT_S)

    heartbeat.open_attempt(1)
    assert beat(far, run).attempt == 1


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "silent"])
def test_one_of_two_wins(make: MakeHeartbeat, *, is_first: bool) -> None:
    """Of several that take a run at the same moment exactly one gets it."""
    if not is_first:
        old = make()
        take(old)
        old.mark_kept(datetime.now(UTC))
    rivals = [make(uuid4()) for _ in range(4)]
    barrier = Barrier(len(rivals))

    def won(heartbeat: Heartbeat) -> bool:
        """Try when all are ready."""
        barrier.wait()
        try:
            take(heartbeat)
        except RunLost:
            return False
        return True

    with ThreadPoolExecutor(len(rivals)) as threads:
        winners = list(threads.map(won, rivals))

    assert winners.count(True) == 1

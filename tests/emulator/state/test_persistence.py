"""An emulator with a database goes on where it was, however it ended."""

import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from azure.batch import models

from tests.support.emulator import builders as kit
from tests.support.emulator.emulators import Account, client_of, started
from tests.support.processes import wait_until


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_what_was_acknowledged_is_there(account: Account, ending: signal.Signals) -> None:
    """Pools, nodes, jobs and completed tasks are the same after a restart."""
    client = account.client()
    pool = kit.a_pool(client)
    job = kit.a_job(client, pool, metadata=[models.BatchMetadataItem(name="a", value="b")])
    before = kit.run(client, job, kit.sh("echo kept")).as_dict()

    client = account.again(ending)

    url = before["url"].rsplit("/jobs/", 1)[1]
    after = client.get_task(job, before["id"]).as_dict()
    assert after["url"].endswith(url)
    assert after["executionInfo"] == before["executionInfo"]
    assert [node.state for node in client.list_nodes(pool)] == ["idle"]
    assert client.get_job(job).metadata == [models.BatchMetadataItem(name="a", value="b")]
    assert b"".join(client.download_task_file(job, before["id"], "stdout.txt")) == b"kept\n"


def test_running_task_is_requeued_and_never_runs_twice_at_once(account: Account) -> None:
    """What ran when the emulator was killed is ended and run again, and says so."""
    client = account.client()
    job = kit.a_job(client, kit.a_pool(client))
    marks = account.folder / "marks"
    task = kit.a_task(client, job, kit.sh(f"echo begin >> {marks}; test -e {marks}.go || sleep 60"))
    wait_until(marks.exists)

    (account.folder / "marks.go").touch()
    client = account.again()

    ended = kit.reach(client, job, task, "completed")
    assert kit.info_of(ended).requeue_count == 1
    assert kit.info_of(ended).result == "success"
    assert marks.read_text() == "begin\n" * 2
    assert account.emulator.task_pids() == []


def test_a_lock_on_the_database_holds_up_only_writes(account: Account) -> None:
    """While somebody else writes to the database, reads are answered; then the write is, too."""
    client = account.client()
    written = threading.Thread(target=kit.a_job, args=(client, "none"))
    with (
        closing(sqlite3.connect(account.folder / "batch.sqlite", isolation_level=None)) as other,
        client_of(account.emulator, retry_total=0, read_timeout=2) as impatient,
    ):
        other.execute("BEGIN IMMEDIATE")
        written.start()
        assert next(iter(impatient.list_supported_images()))
        time.sleep(0.2)
        assert written.is_alive()
        assert next(iter(impatient.list_supported_images()))
        other.execute("ROLLBACK")
        written.join(10)

    assert len(list(account.again().list_jobs())) == 1


def test_the_database_is_private(account: Account) -> None:
    """Its files can be read by their owner alone, wherever they are: they hold live SAS."""
    kit.a_job(account.client(), "none")

    modes = {
        path.name: path.stat().st_mode & 0o077 for path in account.folder.glob("batch.sqlite*")
    }

    assert set(modes.values()) == {0}
    assert "batch.sqlite-wal" in modes


def test_waiting_task_runs_after_the_restart(account: Account) -> None:
    """Active tasks wait in the database, and begin when there is a node."""
    client = account.client()
    job = kit.a_job(client, "later")
    task = kit.a_task(client, job)

    client = account.again()
    kit.a_pool(client, id="later")

    assert kit.info_of(kit.reach(client, job, task, "completed")).exit_code == 0


def test_deletion_goes_on(account: Account) -> None:
    """A deletion that was accepted is finished after the restart."""
    client = account.client()
    pool = kit.a_pool(client)
    job = kit.a_job(client, pool)
    kit.a_task(client, job, "sleep 60")
    client.begin_delete_job(job, polling_interval=60)
    client.begin_delete_pool(pool, polling_interval=60)

    client = account.again()

    wait_until(lambda: not [*client.list_jobs(), *client.list_pools()])


def test_job_limit_counts_from_its_creation(account: Account) -> None:
    """Time during which the emulator was down counts for a job's limit."""
    client = account.client()
    limit = models.BatchJobConstraints(max_wall_clock_time=timedelta(seconds=1))
    job = kit.a_job(client, "nowhere", constraints=limit)

    client = account.again()

    wait_until(lambda: client.get_job(job).state == "completed")
    info = client.get_job(job).execution_info
    assert info is not None
    assert info.termination_reason == "MaxWallClockTimeExpiry"


def test_second_emulator_on_a_database_is_refused(account: Account) -> None:
    """A database has one emulator; the second says so and ends."""
    with pytest.raises(subprocess.TimeoutExpired):
        account.emulator.process.wait(timeout=0)

    with started(account.folder, "--database", str(account.folder / "batch.sqlite")) as second:
        assert second.process.wait(timeout=10) == 1
        assert "is in use by another Batch emulator" in second.log.read_text()


def test_unknown_version_is_refused(tmp_path: Path) -> None:
    """A database of another version of the project is left alone."""
    database = tmp_path / "batch.sqlite"
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with started(tmp_path, "--database", str(database)) as emulator:
        assert emulator.process.wait(timeout=10) == 1
        assert "is of version 99" in emulator.log.read_text()

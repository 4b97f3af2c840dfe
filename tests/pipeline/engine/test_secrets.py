"""Account keys and SAS signatures are nowhere that a run leaves or shows something.

Searched after each run: every table and every byte of Prefect's database, results and other files
of its home, what the run printed, its output folder; and while it runs: command lines.
"""

import base64
import binascii
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from azure.core.exceptions import ResourceNotFoundError

from local_azure.stack import LocalAzure
from prefect_azure_batch.service.clients import Services
from tests.pipeline.conftest import node_processes
from tests.support.paths import PROJECT
from tests.support.pipeline.prefect_server import PrefectServer, stop, wait_for
from tests.support.pipeline.programs import in_its_place

SCRIPT = str(PROJECT / "flows" / "top_words.py")
SAMPLE = str(PROJECT / "data" / "taskdata1.txt")
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
NUM_KEYS = 2
WRONG_KEY = base64.b64encode(b"this is not the key of the account").decode()
LEAKING_PROGRAM = """
import os, sys, time
time.sleep(1)
sys.exit("cannot write to " + os.environ["TOP_WORDS_CONTAINER_URL"])
"""


@dataclass
class Seen:
    """What was seen of a run while it was under way.

    Attributes:
        secrets: keys, and signatures of the SAS URLs that its pool, job and batch tasks have.
        command_lines: of batch tasks, and of processes on the nodes.
        environment: what the run's process gets beside the accounts.
    """

    secrets: set[str]
    command_lines: set[str] = field(default_factory=set)
    environment: dict[str, str] = field(default_factory=dict)

    def look(self, services: Services, azure: LocalAzure) -> None:
        """Look at the pools, jobs and batch tasks of the account, and at the nodes."""
        found = [pool.as_dict() for pool in services.batch.list_pools()]
        for job in services.batch.list_jobs():
            with suppress(ResourceNotFoundError):  # it has just been deleted
                tasks = [task.as_dict() for task in services.batch.list_tasks(job.id)]
                found += [job.as_dict(), *tasks]
                self.command_lines |= {task["commandLine"] for task in tasks}
        self.secrets |= set(re.findall(r"sig=([^&\"\s]+)", json.dumps(found, default=str)))
        self.command_lines |= set(node_processes(azure))


@pytest.fixture
def seen(accounts: LocalAzure) -> Seen:
    """The accounts' keys, to begin with."""
    environment = accounts.environment
    key = re.search(r"AccountKey=([^;]+)", environment["AZURE_STORAGE_CONNECTION_STRING"])
    assert key
    return Seen({environment["AZURE_BATCH_ACCESS_KEY"], key[1]})


def places_of(secrets: set[str], haystacks: Mapping[str, bytes]) -> list[str]:
    """Return the names of the haystacks that hold a secret, as it is, URL-encoded or in base64."""
    forms = {form(secret).encode() for secret in secrets for form in (str, quote_all, unquote)}
    return [
        name
        for name, content in haystacks.items()
        if any(form in part for part in (content, *decoded(content)) for form in forms)
    ]


def quote_all(text: str) -> str:
    """Return a text, encoded or not, as it is in a URL's query."""
    return quote(unquote(text), safe="")


def decoded(content: bytes) -> Iterator[bytes]:
    """Give what longer pieces of base64 in a content stand for; pickled results are such."""
    for piece in re.findall(rb"[A-Za-z0-9+/=]{60,}", content.replace(rb"\n", b"")):
        try:
            yield base64.b64decode(piece)
        except binascii.Error:
            continue


def files_in(*folders: Path) -> dict[str, bytes]:
    """Return the contents of all files below some folders."""
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in paths}


def tables_in(database: Path) -> dict[str, bytes]:
    """Return the rows of all tables; in the file's bytes, a value can lie in several pieces."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        named = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {
            f"table {name}": repr(connection.execute(f'SELECT * FROM "{name}"').fetchall()).encode()  # noqa: S608
            for (name,) in named.fetchall()
        }


def last_run(server: PrefectServer) -> dict[str, str]:
    """Return the run of the flow that was started last."""
    flows = {"flows": {"name": {"any_": ["top-words"]}}, "sort": "START_TIME_DESC", "limit": 1}
    found = server.post("/flow_runs/filter", flows)
    return dict(found[0]) if found else {}


def is_stored(server: PrefectServer) -> bool:
    """Return whether the last run has ended and the last of its events is in the database."""
    run = last_run(server)
    if run.get("state_type") not in ENDED:
        return False
    since = (datetime.now(UTC) - timedelta(minutes=10)).isoformat()
    wanted = {
        "occurred": {"since": since},
        "resource": {"id": [f"prefect.flow-run.{run['id']}"]},
        "event": {"name": [f"prefect.flow-run.{run['state_name']}"]},
    }
    return bool(server.post("/events/filter", {"filter": wanted})["events"])


def everything(server: PrefectServer, *folders: Path) -> dict[str, bytes]:
    """Return all that there is to search in Prefect's home and in some folders."""
    home = Path(server.environment["PREFECT_HOME"])
    found = files_in(home, *folders) | tables_in(home / "prefect.db")
    assert any(SAMPLE.encode() in content for content in found.values()), "nothing is stored"
    return found


def run_and_look(
    server: PrefectServer, azure: LocalAzure, services: Services, seen: Seen, *command: str
) -> dict[str, bytes]:
    """Run a command to its end, looking at its batch tasks; return all that can be searched."""
    before = last_run(server).get("id")
    environment = dict(azure.environment) | seen.environment
    process = server.start(*command, log=Path("printed.log"), extra=environment, folder=Path.cwd())

    def has_ended() -> bool:
        """Look once more, and tell whether the command is at its end."""
        seen.look(services, azure)
        return process.poll() is not None

    try:
        assert wait_for(has_ended, timeout_s=90)
    finally:
        stop(process)
    assert wait_for(
        lambda: last_run(server).get("id") != before and is_stored(server), timeout_s=60
    )
    return everything(server, Path.cwd()) | {line: line.encode() for line in seen.command_lines}


def test_search_finds_what_is_there() -> None:
    """A secret is found as it is, URL-encoded, decoded, and in a pickled result."""
    haystacks = {
        "plain": b"...a+b/c=...",
        "encoded": b"?sig=a%2Bb%2Fc%3D&se",
        "pickled": base64.b64encode(b"x" * 60 + b"a+b/c="),
        "none": b"a+b/d=" * 20,
    }

    assert places_of({"a%2Bb%2Fc%3D"}, haystacks) == ["plain", "encoded", "pickled"]
    assert places_of({"a+b/c="}, haystacks) == ["plain", "encoded", "pickled"]


@pytest.mark.usefixtures("nothing_left")
def test_successful_run(
    deployed: PrefectServer,
    accounts: LocalAzure,
    services: Services,
    seen: Seen,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A run of a worker with saved blocks that succeeds leaves and shows no secret."""
    given = {"inputs": [SAMPLE], "output_dir": str(Path("results").absolute())}
    parameters = json.dumps(given | {"job": {"delay_s": 1, "keep_all_logs": True}})
    command = ("prefect", "deployment", "run", "top-words/local", "--watch", "--params", parameters)

    found = run_and_look(deployed, accounts, services, seen, *command)

    logs = tmp_path_factory.getbasetemp().glob("worker*/*.log")
    found |= {str(log): log.read_bytes() for log in logs}
    assert last_run(deployed)["state_type"] == "COMPLETED"
    assert len(seen.secrets) > NUM_KEYS
    assert seen.command_lines
    assert places_of(seen.secrets, found) == []


@pytest.mark.usefixtures("only_evidence_left")
def test_failed_run(
    prefect_server: PrefectServer, accounts: LocalAzure, services: Services, seen: Seen
) -> None:
    """Nor does one whose node program writes a SAS URL to stderr, which is shown as evidence."""
    Path("program.py").write_text(LEAKING_PROGRAM)
    installs = in_its_place(Path("program.py").absolute())
    command = ("python", SCRIPT, SAMPLE, "--start-task-command", installs)

    found = run_and_look(prefect_server, accounts, services, seen, *command)

    assert b"cannot write to" in Path("printed.log").read_bytes()
    assert len(seen.secrets) > NUM_KEYS
    assert places_of(seen.secrets, found) == []


@pytest.mark.usefixtures("nothing_left")
def test_refused_run(
    prefect_server: PrefectServer, accounts: LocalAzure, services: Services, seen: Seen
) -> None:
    """Nor does one whose key the storage account refuses, the wrong key included."""
    right = accounts.environment["AZURE_STORAGE_CONNECTION_STRING"]
    wrong = re.sub(r"AccountKey=[^;]+", f"AccountKey={WRONG_KEY}", right)
    seen.environment["AZURE_STORAGE_CONNECTION_STRING"] = wrong
    seen.secrets.add(WRONG_KEY)

    found = run_and_look(prefect_server, accounts, services, seen, "python", SCRIPT, SAMPLE)

    assert b"failed to authenticate" in Path("printed.log").read_bytes()
    assert places_of(seen.secrets, found) == []

"""Every ending of a run in every phase: afterwards the account is as it was before."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from local_azure.client import Control
from local_azure.stack import LocalAzure
from prefect_azure_batch.service.clients import Services
from tests.support.pipeline.cells import BLOCK, POLICIES, TITLE, play
from tests.support.pipeline.endings import ENDINGS, LONG_OUTAGES
from tests.support.pipeline.phases import BATCH, BLOBS, PHASES, PREFECT, Account
from tests.support.pipeline.prefect_server import PrefectServer
from tests.support.pipeline.relay import Relay

# These show every kind of ending, and every way in which a phase is held.
SOME = (
    ("creating the pool", "kill -9"),
    ("allocating", "Ctrl-C"),
    ("running", "exception"),
    ("downloading", "no storage for 3 s"),
)
# Of a run that continues and succeeds nothing is kept by any of these policies.
CELLS = [
    (phase, ending.name, policies)
    for policies in POLICIES
    for phase in PHASES
    for ending in ENDINGS.values()
    if not (ending.survives and policies == "always")
]
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def relays(
    controlled_azure: LocalAzure, prefect_server: PrefectServer
) -> Iterator[dict[str, Relay]]:
    """Between a run and each of the services."""
    urls = {
        BATCH: controlled_azure.batch_url,
        BLOBS: controlled_azure.blob_url,
        PREFECT: prefect_server.url,
    }
    with ExitStack() as stack:
        yield {name: stack.enter_context(Relay(url)) for name, url in urls.items()}


@pytest.fixture(scope="module")
def environment(controlled_azure: LocalAzure, relays: dict[str, Relay]) -> dict[str, str]:
    """What a run finds the relays by."""
    given = dict(controlled_azure.environment)
    connection = given["AZURE_STORAGE_CONNECTION_STRING"]
    return given | {
        "AZURE_BATCH_ENDPOINT": relays[BATCH].url,
        "AZURE_STORAGE_CONNECTION_STRING": connection.replace(
            controlled_azure.blob_url, relays[BLOBS].url
        ),
    }


@pytest.fixture
def account(  # noqa: PLR0913, PLR0917 - fixtures
    controlled_azure: LocalAzure,
    control: Control,
    controlled_services: Services,
    prefect_server: PrefectServer,
    relays: dict[str, Relay],
    environment: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Account]:
    """An empty account; the janitor reaches it past the relays."""
    for name, value in controlled_azure.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    yield Account(control, controlled_services, prefect_server, relays, environment, tmp_path)
    for relay in relays.values():
        relay.restore()


@pytest.mark.parametrize(("phase", "ending"), SOME)
def test_some_endings(account: Account, record_property: Record, phase: str, ending: str) -> None:
    """After one run of the janitor, only the evidence is left that is kept by default."""
    row = play(account, PHASES[phase], ENDINGS[ending], POLICIES["defaults"])

    record_property(TITLE, str(row))


@pytest.fixture(scope="module")
def deployment(
    prefect_server: PrefectServer,
    environment: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The flow's deployment on Prefect's server, and the relays as saved blocks; no worker yet."""
    env_file = tmp_path_factory.mktemp("blocks") / "one_try.env"
    lines = (f"export {name}={value!r}\n" for name, value in environment.items())
    env_file.write_text("".join(lines))
    prefect_server.run("python", "-m", "blocks", "save", BLOCK, "--env-file", str(env_file))
    prefect_server.run("prefect", "work-pool", "create", "top-words", "--type", "process")
    prefect_server.run("prefect", "--no-prompt", "deploy", "--name", "top-words/local")


@pytest.mark.endings
@pytest.mark.usefixtures("deployment")
@pytest.mark.parametrize(("phase", "ending", "policies"), CELLS)
def test_every_ending(
    account: Account, record_property: Record, phase: str, ending: str, policies: str
) -> None:
    """After one run of the janitor, nothing is left that is not kept; after its time, nothing."""
    row = play(account, PHASES[phase], ENDINGS[ending], POLICIES[policies])

    record_property(TITLE, str(row))


@pytest.mark.endings
@pytest.mark.parametrize("ending", LONG_OUTAGES)
def test_long_outages(account: Account, record_property: Record, ending: str) -> None:
    """A run survives five minutes without a service; without Prefect it ends at last."""
    row = play(account, PHASES["running"], LONG_OUTAGES[ending], POLICIES["defaults"])

    record_property(TITLE, str(row))

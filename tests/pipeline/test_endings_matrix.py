"""Every ending of a run in every phase: afterwards the account is as it was before."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.services import Services
from local_azure.client import Control
from local_azure.stack import LocalAzure
from tests.pipeline.cells import ALWAYS, BLOCK, DEFAULTS, ENDINGS, PHASES, Account, Row, play
from tests.pipeline.prefect_server import PrefectServer

# These show every kind of ending, and every way in which a phase is held.
SOME = (
    ("creating the pool", "kill -9"),
    ("allocating", "Ctrl-C"),
    ("running", "exception"),
)
TITLE = "ending                   phase                 clean (s)  node-seconds  kept"


@pytest.fixture(scope="module")
def rows(request: pytest.FixtureRequest) -> Iterator[list[Row]]:
    """What was measured; printed at the end, past pytest's capture."""
    measured: list[Row] = []
    yield measured
    capture = request.config.pluginmanager.get_plugin("capturemanager")
    assert capture
    with capture.global_and_fixture_disabled():
        sys.stdout.write("\n".join(["", TITLE, *map(str, measured), ""]))


@pytest.fixture
def account(  # noqa: PLR0913, PLR0917 - fixtures
    bent_azure: LocalAzure,
    control: Control,
    bent_services: Services,
    prefect_server: PrefectServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Account:
    """An empty account."""
    for name, value in bent_azure.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return Account(bent_azure, control, bent_services, prefect_server, tmp_path)


@pytest.mark.parametrize(("phase", "ending"), SOME)
def test_some_endings(account: Account, rows: list[Row], phase: str, ending: str) -> None:
    """After one run of the janitor, only the evidence is left that is kept by default."""
    rows.append(play(account, PHASES[phase], ENDINGS[ending], DEFAULTS))


@pytest.fixture(scope="module")
def deployment(
    prefect_server: PrefectServer, bent_azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The deployments on Prefect's server, and the account as saved blocks; no worker yet."""
    env_file = tmp_path_factory.mktemp("blocks") / "bent.env"
    lines = (f"export {name}={value!r}\n" for name, value in bent_azure.environment.items())
    env_file.write_text("".join(lines))
    prefect_server.run("python", "-m", "blocks", "save", BLOCK, "--env-file", str(env_file))
    prefect_server.run("prefect", "work-pool", "create", "top-words", "--type", "process")
    prefect_server.run("prefect", "--no-prompt", "deploy", "--all")


@pytest.mark.endings
@pytest.mark.usefixtures("deployment")
@pytest.mark.parametrize("policies", [ALWAYS, DEFAULTS], ids=["always", "defaults"])
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("phase", PHASES)
def test_every_ending(
    account: Account, rows: list[Row], phase: str, ending: str, policies: dict[str, str]
) -> None:
    """After one run of the janitor, nothing is left that is not kept; after its time, nothing."""
    rows.append(play(account, PHASES[phase], ENDINGS[ending], policies))

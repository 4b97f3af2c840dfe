"""Every ending of a run in every phase: afterwards the account is as it was before."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.services import Services
from local_azure.client import Control
from local_azure.stack import LocalAzure
from tests.pipeline.cells import DEFAULTS, ENDINGS, PHASES, Account, Row, play
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

"""Fixtures of the whole suite: the services of the laptop, once per run, and their SDK clients."""

import signal
import uuid
from collections.abc import Iterator

import pytest
from azure.batch import BatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import BlobServiceClient

from local_azure.stack import LocalAzure
from tests.support.processes import Marked


def pytest_configure() -> None:
    """Heed Ctrl-C, and with it all that tests start: a shell's background jobs ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def local_azure() -> Iterator[LocalAzure]:
    """The Batch emulator and Azurite, one pair for the whole run."""
    with LocalAzure() as stack:
        yield stack


@pytest.fixture(scope="session")
def batch_client(local_azure: LocalAzure) -> Iterator[BatchClient]:
    """The SDK's client of the Batch emulator."""
    env = local_azure.environment
    key = AzureNamedKeyCredential(env["AZURE_BATCH_ACCOUNT"], env["AZURE_BATCH_ACCESS_KEY"])
    with BatchClient(env["AZURE_BATCH_ENDPOINT"], key) as client:
        yield client


@pytest.fixture(scope="session")
def blob_service(local_azure: LocalAzure) -> Iterator[BlobServiceClient]:
    """The SDK's client of Azurite."""
    connection = local_azure.environment["AZURE_STORAGE_CONNECTION_STRING"]
    with BlobServiceClient.from_connection_string(connection) as client:
        yield client


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> Marked:
    """Every process that this test starts, found by a mark in the environment it inherits."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(Marked.VARIABLE, mark)
    return Marked(mark)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured, with `record_property`, as one table a title."""
    reports = [
        report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)
    ]
    measured = {item for report in reports for item in report.user_properties}
    for title in sorted({title for title, _ in measured}):
        terminalreporter.write_sep("-", "measured")
        terminalreporter.write_line(title)
        for line in sorted(str(row) for of, row in measured if of == title):
            terminalreporter.write_line(line)

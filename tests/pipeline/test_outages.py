"""A service that is out of order for a while, in front of the real emulator."""

from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import pytest

from blocks import AzureBatchCredentials
from flows.runs import Run
from flows.services import Services
from flows.settings import JobSettings, PoolSettings
from flows.steps.leftovers import Kinds, delete_leftovers
from flows.steps.monitor import wait_for_batch_tasks
from local_azure.stack import LocalAzure

pytestmark = pytest.mark.usefixtures("prefect_harness", "nothing_left")

BUSY = b'{"code": "ServerBusy", "message": {"value": "The service is busy."}}'
# More than a step that Prefect repeats would be sent.
NUM_REFUSALS = 12


class Gate(ThreadingHTTPServer):
    """Refuses a number of requests, first without an answer, then as busy; relays the rest.

    Args:
        url: whom to relay to.
        num_refusals: how many requests are refused first.
    """

    def __init__(self, url: str, num_refusals: int) -> None:
        super().__init__(("127.0.0.1", 0), Relay)
        self.target = urlsplit(url).netloc
        self.num_refusals = num_refusals


class Relay(BaseHTTPRequestHandler):
    """One request."""

    server: Gate

    def _relay(self) -> None:
        self.server.num_refusals -= 1
        if self.server.num_refusals < 0:
            self._forward()
        elif self.server.num_refusals < NUM_REFUSALS // 2:
            self._answer(503, BUSY)

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with closing(HTTPConnection(self.server.target, timeout=30)) as connection:
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            self._answer(answer.status, answer.read())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json;odata=minimalmetadata")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    do_GET = do_DELETE = _relay  # noqa: N815 - names of http.server


@pytest.fixture
def gate(local_azure: LocalAzure) -> Iterator[Gate]:
    """A gate to the Batch emulator."""
    with Gate(local_azure.environment["AZURE_BATCH_ENDPOINT"], NUM_REFUSALS) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def gated(accounts: LocalAzure, services: Services, gate: Gate) -> Iterator[Services]:
    """The services, with Batch behind the gate."""
    url = f"http://127.0.0.1:{gate.server_port}"
    block = AzureBatchCredentials.from_environment(
        dict(accounts.environment) | {"AZURE_BATCH_ENDPOINT": url}
    )
    with block.get_client() as batch:
        yield Services(batch, services.blobs)


def test_wait_outlives_an_outage(
    services: Services, gated: Services, gate: Gate, make_run: Callable[[], Run]
) -> None:
    """The wait for batch tasks goes on when the service answers again."""
    run = make_run()

    endings = wait_for_batch_tasks(gated, run, [], PoolSettings(), JobSettings(), lambda *_: None)

    assert endings == {}

    assert gate.num_refusals < 0
    delete_leftovers(services, run, Kinds(), timeout_s=60)


def test_clean_up_outlives_an_outage(gated: Services, make_run: Callable[[], Run]) -> None:
    """Nothing is given up for lost because the service was out of order when it was deleted."""
    run = make_run()

    assert len(delete_leftovers(gated, run, Kinds(), timeout_s=120)) == 5

"""The watch continues without Prefect's server, and does not wait for it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from urllib.parse import urlsplit

import pytest
from prefect.events import emit_event
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from prefect_azure_batch.model.result import Ending
from prefect_azure_batch.model.tasks import PlannedTask
from prefect_azure_batch.running.watch import wait_for_batch_tasks
from prefect_azure_batch.service.clients import Services
from tests.support.contexts import a_context
from tests.support.paths import PROJECT
from tests.support.pipeline.watched import JOB, POOL, a_watched

pytestmark = pytest.mark.usefixtures("prefect_harness")

LONGEST_WAIT_S = 5


class Line(ThreadingTCPServer):
    """A line to Prefect's server that can be cut.

    Args:
        url: of the server.
    """

    daemon_threads = True

    def __init__(self, url: str) -> None:
        super().__init__(("127.0.0.1", 0), Call)
        parts = urlsplit(url)
        self.target = (str(parts.hostname), int(parts.port or 0))
        self.is_cut = False


class Call(BaseRequestHandler):
    """One connection."""

    server: Line

    def handle(self) -> None:
        """Carry bytes both ways, as long as the line is not cut."""
        if self.server.is_cut:
            return
        with socket.create_connection(self.server.target) as there:
            back = Thread(target=self._carry, args=(there, self.request))
            back.start()
            self._carry(self.request, there)
            back.join()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while (content := source.recv(65536)) and not self.server.is_cut:
                sink.sendall(content)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def line() -> Iterator[Line]:
    """A line to the server of these tests, which Prefect's clients use."""
    # Prefect sends all events of a process over one connection, which is to stay good.
    emit_event("line.opened", resource={"prefect.resource.id": "tests.line"})
    with Line(str(PREFECT_API_URL.value())) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/api"
        with temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 0}):
            yield server
        server.shutdown()
        thread.join()


def test_lost_server_does_not_end_the_watch(
    controlled_services: Services, line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    """Progress in the UI stops with one warning; the batch tasks are watched to their end."""
    watched = a_watched(controlled_services)
    watched.add("true", "sleep 2", "true")

    def cut(_planned: PlannedTask, _ending: Ending) -> None:
        """Cut the line at the first ending."""
        line.is_cut = True

    began = time.monotonic()
    context = a_context(controlled_services, watched.run, pool=POOL, job=JOB)
    endings = wait_for_batch_tasks(context, watched.tasks, cut)

    assert [ending.succeeded for ending in endings.values()] == [True, True, True]
    assert caplog.text.count("shows no progress for now") == 1
    assert time.monotonic() - began < 20


EVENTS_WITHOUT_SERVER = """
import time
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
from prefect_azure_batch.running.events import limit_reconnections
limit_reconnections()
began = time.monotonic()
emit_event("tests.lost", resource={"prefect.resource.id": "tests.lost"})
EventsWorker.drain_all()
print(time.monotonic() - began)
"""


def test_events_do_not_hold_up_the_end() -> None:
    """A process whose events nobody takes ends soon; Prefect alone would try for 7 s for each."""
    done = subprocess.run(
        [sys.executable, "-c", EVENTS_WITHOUT_SERVER],
        env=os.environ | {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )

    assert float(done.stdout) < LONGEST_WAIT_S

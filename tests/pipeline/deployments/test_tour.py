"""The tour: four make targets lead from a clone to a scheduled run, and leave nothing behind."""

import json
import os
import pty
import signal
import socket
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, Any

import pytest

from tests.support.clone import free_port, make_clone
from tests.support.pipeline.prefect_server import wait_for
from tests.support.processes import Marked, wait_until

# Nobody is there: make must keep what is on this machine from it.
PROXIES = dict.fromkeys(("http_proxy", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
SERVICES = ("local-azure", "server", "worker")
DEPLOYMENT = "top-words/local"


class Tour:
    """A clone in which make targets run, each as in a terminal of its own.

    Args:
        folder: the clone.
        port: of Prefect's server.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if not name.lower().endswith("_proxy")
            and not name.startswith(("AZURE_", "PREFECT_", "MAKE", "MFLAGS"))
        } | {"PREFECT_SERVER_API_PORT": str(port)}
        self.services: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, target: str, terminal: IO[bytes] | None = None) -> None:
        """Start a target that runs until it is stopped, perhaps on a terminal."""
        with self._log(target).open("wb") as log:
            self.services[target] = subprocess.Popen(
                ["make", target],
                cwd=self.folder,
                env=self._environment | PROXIES,
                stdin=terminal or subprocess.DEVNULL,
                stdout=terminal or log,
                stderr=terminal or log,
                start_new_session=True,
            )

    def run(self, *command: str) -> str:
        """Run a command to its end and return what it printed.

        Raises:
            AssertionError: it failed.
        """
        done = self.try_to_run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def try_to_run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, however that is."""
        proxies = PROXIES if command[0] == "make" else {}
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment
            | proxies
            | {"PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def printed(self, target: str) -> str:
        """Return what a target has printed until now."""
        return self._log(target).read_text()

    def get(self, path: str) -> Any:
        """Read from Prefect's API."""
        return self._call("GET", path, None)

    def runs_of(self, deployment: str) -> list[Any]:
        """Return the runs that a deployment has or is going to have."""
        of = self.get(f"/deployments/name/{deployment}")["id"]
        return list(
            self._call("POST", "/flow_runs/filter", {"deployments": {"id": {"any_": [of]}}})
        )

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            content = json.dumps(body) if body else None
            headers = {"Content-Type": "application/json"}
            connection.request(method, f"/api{path}", content, headers)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def _log(self, target: str) -> Path:
        return self.folder / f"{target}.log"


@pytest.fixture
def tour(tmp_path: Path, marked: Marked) -> Iterator[Tour]:
    """A clone; whatever runs in it at the end is killed."""
    tour = Tour(make_clone(tmp_path / "clone"), free_port())
    yield tour
    for pid in marked.pids():
        os.kill(pid, signal.SIGKILL)
    for service in tour.services.values():
        service.wait()


def start_services(tour: Tour) -> None:
    """Start the three services, one after the other."""
    for target in SERVICES:
        tour.start(target)
    wait_until((tour.folder / "local-azure.env").exists, 30)
    wait_for(lambda: "started" in tour.printed("worker"), timeout_s=90)


def send_ctrl_c(service: subprocess.Popen[bytes]) -> None:
    """Do what a terminal does: the signal goes to all that its command has started."""
    os.killpg(service.pid, signal.SIGINT)


@pytest.mark.timeout(600)
def test_tour_leads_to_scheduled_runs(tour: Tour, marked: Marked) -> None:
    """Each target names the next; a run completes, runs are scheduled, Ctrl-C leaves nothing.

    The last target can be repeated, and all can be deployed.
    """
    start_services(tour)
    outputs = [tour.printed(target) for target in SERVICES] + [tour.run("make", "deploy")]

    for printed, following in zip(outputs, ("server", "worker", "deploy", DEPLOYMENT), strict=True):
        assert "next" in printed
        assert following in printed
    prefect = str(tour.folder / ".venv/bin/prefect")
    assert "Completed" in tour.run(prefect, "deployment", "run", DEPLOYMENT, "--watch")
    assert any(run["auto_scheduled"] for run in tour.runs_of("janitor/local"))
    schedule = tour.get(f"/deployments/name/{DEPLOYMENT}")["schedules"][0]["id"]
    tour.run(prefect, "deployment", "schedule", "resume", DEPLOYMENT, schedule)
    wait_for(lambda: any(run["auto_scheduled"] for run in tour.runs_of(DEPLOYMENT)), timeout_s=120)
    assert "saved" in tour.run("make", "deploy")
    # Also without the blocks that some of them take.
    tour.run(prefect, "--no-prompt", "deploy", "--all")
    assert tour.runs_of("top-words/azure") == []

    for target in reversed(SERVICES):
        send_ctrl_c(tour.services[target])
    wait_until(marked.none, 60)


@pytest.mark.timeout(600)
def test_sigterm_to_make_leaves_nothing(tour: Tour, marked: Marked) -> None:
    """A target that only make is asked to end takes all that it started with it."""
    start_services(tour)

    for target in reversed(SERVICES):
        tour.services[target].terminate()

    wait_until(marked.none, 60)


@pytest.mark.parametrize(
    ("target", "message"),
    [("deploy", "make local-azure"), ("worker", "make server")],
)
def test_target_names_what_is_missing(tour: Tour, target: str, message: str) -> None:
    """Out of order, a target says which one to run first."""
    done = tour.try_to_run("make", target, "SERVER_WAIT_S=1")

    assert done.returncode != 0
    assert message in done.stdout


def test_server_asks_nothing_on_a_terminal(tour: Tour) -> None:
    """Prefect would ask which profile is to have the address; nobody may be there to answer."""
    keyboard, inside = pty.openpty()
    with os.fdopen(inside, "r+b", buffering=0) as terminal:
        tour.start("server", terminal)
    shown = b""
    while b"dashboard" not in shown and b"proceed" not in shown:
        shown += os.read(keyboard, 65536)

    assert b"proceed" not in shown

    send_ctrl_c(tour.services["server"])
    tour.services["server"].wait(60)
    os.close(keyboard)


def test_taken_port_is_reported(tour: Tour) -> None:
    """Prefect's server says that somebody else listens on its port."""
    with socket.create_server(("127.0.0.1", tour.port)):
        done = tour.try_to_run("make", "server")

    assert done.returncode != 0
    assert f"Port {tour.port} is already in use" in done.stdout

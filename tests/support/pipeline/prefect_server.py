"""A real Prefect server and its commands as child processes, for the tests that need them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

START_TIMEOUT_S = 90

Found = TypeVar("Found")


class PrefectServer:
    """A Prefect server with a home of its own; commands run against it from the project's folder.

    Args:
        home: folder for its database and its log.
        project: working directory of all commands.
    """

    def __init__(self, home: Path, project: Path) -> None:
        self._project = project
        self._log = home / "server.log"
        self._port = _free_port()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AZURE_")},
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": self.url,
            "PREFECT_SERVER_API_PORT": str(self._port),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
            # What no test waits for takes a tenth of a core.
            "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
            "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
            "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
            "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_CLI_PROMPT": "false",
            "DO_NOT_TRACK": "1",
        }

    @property
    def url(self) -> str:
        """The API."""
        return f"http://127.0.0.1:{self._port}/api"

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        self._process = self.start("prefect", "server", "start", log=self._log)
        wait_for(self._answers, START_TIMEOUT_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        stop(self._process)

    def restart(self) -> None:
        """Stop it, and start it again on the same port and database."""
        stop(self._process)
        self.__enter__()

    def _answers(self) -> bool:
        with suppress(OSError):
            return self._request("GET", "/health", None)[0] == HTTPStatus.OK
        return False

    def start(
        self,
        *command: str,
        log: Path,
        extra: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a command of the virtual environment; its output goes to a file."""
        program = Path(sys.executable).with_name(command[0])
        with log.open("wb") as output:
            return subprocess.Popen(
                [str(program), *command[1:]],
                cwd=folder or self._project,
                env=self.environment | dict(extra or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Shells ignore Ctrl-C in background jobs, and children inherit that.
                preexec_fn=_heed_ctrl_c,  # noqa: PLW1509 - one C call, no locks
                start_new_session=True,
            )

    def run(self, *command: str) -> str:
        """Run a command of the virtual environment and return its output.

        Raises:
            AssertionError: it failed.
        """
        program = Path(sys.executable).with_name(command[0])
        done = subprocess.run(
            [str(program), *command[1:]],
            cwd=self._project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send a request to the API and return its answer."""
        return self._call("POST", path, body)

    def get(self, path: str) -> Any:
        """Read from the API."""
        return self._call("GET", path, None)

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        """Change something through the API."""
        return self._call("PATCH", path, body)

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        # SQLite refuses now and then, while the server's own services write: 503.
        def answered() -> tuple[int, Any] | None:
            answer = self._request(method, path, body)
            return answer if answer[0] != HTTPStatus.SERVICE_UNAVAILABLE else None

        status, content = wait_for(answered, timeout_s=20) or (0, None)
        assert status in range(200, 300), (status, content)
        return content

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
        data = json.dumps(body) if body is not None else None
        headers = {"Content-Type": "application/json"}
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=30)) as connection:
            connection.request(method, f"/api{path}", data, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or "null")


def wait_for(condition: Callable[[], Found], timeout_s: float) -> Found:
    """Wait until a condition holds and return what it returned.

    Raises:
        TimeoutError: it did not hold in time.
    """
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{condition} did not hold within {timeout_s} s")
        time.sleep(0.1)
    return found


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and everything in its session, and wait for it."""
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=20)


def _heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""Runs a client on the Azure of this machine, and tells what that took."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from azure.batch import BatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import BlobServiceClient

from local_azure.stack import LocalAzure
from tests.support.pipeline.prefect_server import PrefectServer
from tests.support.processes import wait_until

PROJECT = Path(__file__).resolve().parents[1]
POOL = ("--nodes", "1", "--task-slots", "8")
LIMIT_S = 1800


@dataclass(frozen=True)
class Figures:
    """What one run of a client took.

    Attributes:
        wall_s: seconds from the start of its process to its end.
        cpu_s: user and system seconds of its process.
        peak_bytes: the most memory of its process.
        requests: by kind: number, bytes of the answers, first_s and last_s since the start.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int
    requests: Mapping[str, Mapping[str, float]]

    @property
    def num_requests(self) -> int:
        """All of its requests to both services."""
        return int(sum(kind["number"] for kind in self.requests.values()))

    def monitoring(self, what: str) -> float:
        """Return the sum of a figure over what it read about its pool and job."""
        kinds = [name for name in self.requests if name.startswith(("GET jobs/", "GET pools/"))]
        return sum(self.requests[name][what] for name in kinds)


@contextmanager
def machine(folder: Path) -> Iterator["Machine"]:
    """Run Azure and a Prefect server on this machine; both end with the benchmark, SIGTERM too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped by SIGTERM"))
    with LocalAzure() as azure:
        began = time.perf_counter()
        with PrefectServer(folder, PROJECT) as server:
            print(f"Prefect's server: ready after {time.perf_counter() - began:.1f} s")
            yield Machine(folder, azure.environment, server.environment)


class Machine:
    """Runs clients against the services of this machine.

    Args:
        folder: for texts, outputs and reports.
        accounts: the environment in which clients find Azure.
        prefect: the environment in which flows find Prefect's server.
    """

    def __init__(
        self, folder: Path, accounts: Mapping[str, str], prefect: Mapping[str, str]
    ) -> None:
        self._folder = folder
        self._accounts = accounts
        self._prefect = prefect
        key = AzureNamedKeyCredential(
            accounts["AZURE_BATCH_ACCOUNT"], accounts["AZURE_BATCH_ACCESS_KEY"]
        )
        self._batch = BatchClient(accounts["AZURE_BATCH_ENDPOINT"], key)
        connection = accounts["AZURE_STORAGE_CONNECTION_STRING"]
        self._blobs = BlobServiceClient.from_connection_string(connection)

    def run(self, client: tuple[str, ...], texts: Path, *, own_server: bool = False) -> Figures:
        """Run a client on a folder of texts.

        Args:
            client: its script and arguments.
            texts: what it counts.
            own_server: whether a flow must start a server of Prefect's by itself.

        Raises:
            RuntimeError: it failed, or has not written an output for each text.
        """
        wait_until(self._is_empty, timeout_s=120)
        report = self._folder / "report.json"
        environment = {**self._prefect, **self._accounts}
        if own_server:
            del environment["PREFECT_API_URL"]
            environment["PREFECT_HOME"] = str(self._folder / "own")
        with tempfile.TemporaryDirectory(dir=self._folder) as outputs:
            command = [*client, str(texts), "--output-dir", outputs, *POOL]
            began = time.perf_counter()
            done = subprocess.run(  # noqa: S603 - fixed programs
                [sys.executable, "-m", "benchmarks.counted", str(report), *command],
                cwd=PROJECT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
            wall_s = time.perf_counter() - began
            missing = [text.stem for text in texts.iterdir() if not _output(outputs, text).exists()]
        if done.returncode or missing:
            raise RuntimeError(f"{client}: {len(missing)} outputs missing\n{done.stderr[-3000:]}")
        return Figures(wall_s=wall_s, **json.loads(report.read_text()))

    def _is_empty(self) -> bool:
        left = (self._batch.list_jobs(), self._batch.list_pools(), self._blobs.list_containers())
        return not any(next(iter(items), None) for items in left)


def _output(folder: str, text: Path) -> Path:
    return Path(folder, f"{text.stem}_OUTPUT{text.suffix}")

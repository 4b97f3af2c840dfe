"""Both services of the laptop: start, wait until ready, stop, and the environment for clients."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from local_azure.azurite import ACCOUNT_KEY, ACCOUNT_NAME, start_azurite
from local_azure.guard import guard
from local_azure.private_folders import make_private
from local_azure.service import LocalAzureError, Service, open_log

BATCH_ACCOUNT = "devbatch"
BATCH_KEY = "bG9jYWwtYXp1cmU6IHB1YmxpYyBkZXZlbG9wbWVudCBrZXksIHByb3RlY3RzIG5vdGhpbmc="
"""The Batch account of the laptop; the key says in base64 that it is public."""

# requests reads the first, OpenSSL and its users (aiohttp, curl) the second.
_TRUST = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
# By these a data folder is known.
_MARKS = ("batch.sqlite", "blobs/lock")
_READY = re.compile(r"^ready (https?://\S+)\n", re.MULTILINE)


class LocalAzure:
    """The Batch emulator and Azurite, on loopback.

    Nothing of them outlives the process that started them, however it ends; on systems other
    than Linux this is best effort (see `local_azure.warden`).

    Args:
        data_dir: keeps blobs, the Batch account, node folders and logs; None for temporary folders.
        batch_port: 0 picks a free one.
        blob_port: 0 picks a free one.
        control: have the control endpoints of the Batch emulator (see `local_azure.client`).
        tls: let the Batch emulator listen with TLS, for clients with tokens instead of keys.
        allow_hosts: names by which clients may call both, beside those of loopback; requests to
            any other are refused, and those of pages in a browser always.
    """

    def __init__(  # noqa: PLR0913 - the options of `up`
        self,
        data_dir: Path | None = None,
        batch_port: int = 0,
        blob_port: int = 0,
        *,
        control: bool = False,
        tls: bool = False,
        allow_hosts: Sequence[str] = (),
    ) -> None:
        self._data_dir = data_dir and data_dir.expanduser().resolve()
        self._batch_port = batch_port
        self._blob_port = blob_port
        self._control = control
        self._tls = tls
        self._hosts = tuple(allow_hosts)
        self._tls_dir: Path | None = None
        self._services: dict[str, Service] = {}

    def start(self) -> None:
        """Start both side by side without waiting for them.

        Raises:
            LocalAzureError: one cannot be started; `stop` ends the other.
        """
        if self._data_dir is not None:
            make_private(self._data_dir, _MARKS)
        # Azurite first: it takes longer, and its lock guards the whole of data_dir.
        self._services["blob"] = start_azurite(self._data_dir, self._blob_port, self._hosts)
        self._services["batch"] = self._start_batch()

    def _start_batch(self) -> Service:
        kept = self._data_dir
        home = kept or Path(tempfile.mkdtemp(prefix="local-azure-batch-"))
        nodes = home / "nodes"
        nodes.mkdir(parents=True, exist_ok=True)
        options = ["--port", str(self._batch_port), "--nodes-dir", str(nodes)]
        options += ["--database", str(home / "batch.sqlite")] if kept else []
        options += ["--control"] if self._control else []
        self._tls_dir = home / "tls" if self._tls else None
        options += ["--tls", str(self._tls_dir)] if self._tls_dir else []
        for host in self._hosts:
            options += ["--allow-host", host]
        log = open_log(home / "batch.log" if kept else None)
        return _batch(options, log, remove=None if kept else home)

    def wait_until_ready(self, timeout_s: float = 60.0) -> None:
        """Wait until both answer.

        Raises:
            LocalAzureError: one has ended or is not ready in time; `stop` ends the other.
        """
        deadline = time.monotonic() + timeout_s
        for service in self._services.values():
            service.wait_until_ready(deadline)

    def stop(self) -> None:
        """End both and wait until nothing is left of them, temporary folders included.

        Safe to repeat, and after a failed start.
        """
        for service in self._services.values():
            service.release()
        for service in self._services.values():
            service.stop()
        self._services.clear()

    def __enter__(self) -> Self:
        """Start both and wait until they are ready."""
        try:
            self.start()
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop both."""
        self.stop()

    @property
    def failure(self) -> str | None:
        """How a service has ended by itself; None while both run."""
        return next((failure for s in self._services.values() if (failure := s.failure)), None)

    @property
    def batch_url(self) -> str:
        """Where the Batch emulator listens.

        Raises:
            LocalAzureError: it is not ready yet.
        """
        return self._url("batch")

    @property
    def blob_url(self) -> str:
        """Where Azurite serves its account.

        Raises:
            LocalAzureError: it is not ready yet.
        """
        return f"{self._url('blob')}/{ACCOUNT_NAME}"

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables from which clients, the az command line among them, find both services.

        Raises:
            LocalAzureError: they are not ready yet.
        """
        certificates = {} if self.ca_bundle is None else dict.fromkeys(_TRUST, str(self.ca_bundle))
        return certificates | {
            "AZURE_BATCH_ACCOUNT": BATCH_ACCOUNT,
            "AZURE_BATCH_ACCESS_KEY": BATCH_KEY,
            "AZURE_BATCH_ENDPOINT": self.batch_url,
            "AZURE_STORAGE_CONNECTION_STRING": (
                f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT_NAME};"
                f"AccountKey={ACCOUNT_KEY};BlobEndpoint={self.blob_url};"
            ),
        }

    @property
    def ca_bundle(self) -> Path | None:
        """The certificates to trust: the emulator's own and the machine's; None without TLS.

        It is there when the services are ready.
        """
        return self._tls_dir and self._tls_dir / "bundle.pem"

    def _url(self, name: str) -> str:
        if name not in self._services:
            raise LocalAzureError("the services are not running: call start() first")
        return self._services[name].url


def _batch(options: list[str], log: IO[bytes], remove: Path | None) -> Service:
    """Start the Batch emulator without waiting for it."""
    process = guard(
        [sys.executable, "-m", "local_azure.batch", *options],
        remove=remove,
        # `-m` looks here first: parent and child are the same copy of the package.
        cwd=Path(__file__).resolve().parents[1],
        env={
            **os.environ,
            "LOCAL_AZURE_BATCH_ACCOUNT": BATCH_ACCOUNT,
            "LOCAL_AZURE_BATCH_KEY": BATCH_KEY,
        },
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    return Service("the Batch emulator", process, log, _READY)

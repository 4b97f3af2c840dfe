"""Emulators as processes of their own: one for a run of tests, or one that a test ends at will."""

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure.batch import BatchClient
from azure.core.credentials import AzureNamedKeyCredential

ACCOUNT = "testaccount"
KEY = base64.b64encode(b"a key that signs requests in tests").decode()


@dataclass(frozen=True)
class Emulator:
    """A running emulator: its URL, the folder of its nodes, its process and its log."""

    url: str
    nodes_dir: Path
    process: subprocess.Popen[str]
    log: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which clients find the account."""
        return {
            "AZURE_BATCH_ACCOUNT": ACCOUNT,
            "AZURE_BATCH_ACCESS_KEY": KEY,
            "AZURE_BATCH_ENDPOINT": self.url,
        }

    def task_pids(self, command: str = "") -> list[int]:
        """Return the processes of tasks whose command line contains a text."""
        mark = f"AZ_BATCH_NODE_ROOT_DIR={self.nodes_dir}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                environment, line = ((entry / n).read_bytes() for n in ("environ", "cmdline"))
            except OSError:  # it has just ended, or is not a process of ours
                continue
            if mark in environment and command.encode() in line.replace(b"\0", b" "):
                found.append(int(entry.name))
        return found

    def is_clean(self) -> bool:
        """Return whether neither a task's process nor a node's folder is there."""
        return not self.task_pids() and not any(self.nodes_dir.iterdir())


@contextmanager
def started(folder: Path, *options: str) -> Iterator[Emulator]:
    """Run an emulator whose nodes and log are in a folder, and stop it by SIGTERM."""
    log = folder / "log.txt"
    environment = os.environ | {
        "LOCAL_AZURE_BATCH_ACCOUNT": ACCOUNT,
        "LOCAL_AZURE_BATCH_KEY": KEY,
        "SECRET_OF_THE_EMULATOR": "must not reach a task",
    }
    nodes = ("--nodes-dir", str(folder / "nodes"))
    command = [sys.executable, "-m", "local_azure.batch", *nodes, *options]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdout
        url = process.stdout.readline().removeprefix("ready ").strip()
        try:
            yield Emulator(url, folder / "nodes", process, log)
            process.terminate()
            process.wait(timeout=10)
        finally:
            process.kill()


def client_of(emulator: Emulator, **options: Any) -> BatchClient:
    """Return the SDK's client of an emulator."""
    return BatchClient(emulator.url, AzureNamedKeyCredential(ACCOUNT, KEY), **options)


class Account:
    """An emulator on one folder, started again as often as a test wants."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._options = ("--database", str(folder / "batch.sqlite"))
        self._running = ExitStack()
        self._emulator = self._start()

    def _start(self) -> Emulator:
        return self._running.enter_context(started(self.folder, *self._options))

    @property
    def emulator(self) -> Emulator:
        """The emulator that runs now."""
        return self._emulator

    def client(self) -> BatchClient:
        """Return the SDK's client of the emulator that runs now."""
        return self._running.enter_context(client_of(self._emulator))

    def end(self, ending: signal.Signals = signal.SIGKILL) -> None:
        """End the emulator by a signal, if it has not ended."""
        self._emulator.process.send_signal(ending)
        self._emulator.process.wait(timeout=10)

    def again(self, ending: signal.Signals = signal.SIGKILL) -> BatchClient:
        """End the emulator by a signal, start it again, and return its client."""
        self.end(ending)
        self._running.close()
        self._emulator = self._start()
        return self.client()

    def stop(self) -> None:
        """Stop it."""
        self._running.close()

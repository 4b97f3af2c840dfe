"""The command line on a terminal, with a person at its keyboard who is asked what to delete."""

import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from fcntl import ioctl
from pathlib import Path
from threading import Thread

import pytest

from local_azure.stack import LocalAzure
from prefect_azure_batch.model.run import EVERY_ATTEMPT, new_run, run_id_of
from prefect_azure_batch.ownership.deletion import KindsToDelete, delete_leftovers
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import RunContext
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings
from tests.pipeline.conftest import leftovers, mark_for_children
from tests.support.paths import PROJECT
from tests.support.pipeline.prefect_server import PrefectServer
from tests.support.processes import Marked, wait_until

CTRL_C = "\x03"
CONTROL_SEQUENCE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
# So that no line is broken.
WIDTH = "500"


class Terminal:
    """A terminal on which a program runs, what it shows, and its keyboard.

    Args:
        command: arguments of Python.
        environment: the program's.
    """

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self._keyboard, inside = pty.openpty()
        self._shown = b""
        with closing(os.fdopen(inside, "r+b", buffering=0)) as tty:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=PROJECT,
                env={**environment, "TERM": "xterm", "COLUMNS": WIDTH},
                stdin=tty,
                stdout=tty,
                stderr=tty,
                start_new_session=True,
                # Only a session's own terminal turns Ctrl-C into a signal.
                preexec_fn=lambda: ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no locks
            )
        self._reader = Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while data := _read(self._keyboard):
            self._shown += data

    def text(self) -> str:
        """Return what it has shown."""
        return CONTROL_SEQUENCE.sub(b"", self._shown).decode(errors="replace")

    def answer(self, question: str, keys: str) -> None:
        """Wait for a question, and type."""
        wait_until(lambda: question in self.text() or self.process.poll() is not None, 120)
        assert question in self.text(), self.text()
        os.write(self._keyboard, keys.encode())

    def end(self) -> int:
        """Wait for the end of the program and return its exit code."""
        code = self.process.wait(60)
        self._reader.join()
        return code

    def close(self) -> None:
        """Take it away; a program that still runs is killed."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        os.close(self._keyboard)


def _read(keyboard: int) -> bytes:
    """Return what is shown next; nothing when no program has the terminal any more."""
    try:
        return os.read(keyboard, 65536)
    except OSError:
        return b""


Open = Callable[..., Terminal]


@pytest.fixture
def open_terminal(prefect_server: PrefectServer, marked: Marked, tmp_path: Path) -> Iterator[Open]:
    """Count the words of a file on a terminal, with options and more of an environment."""
    with _terminals(prefect_server, marked, tmp_path) as open_one:
        yield open_one
    wait_until(marked.none, 20)


@contextmanager
def _terminals(server: PrefectServer, marked: Marked, folder: Path) -> Iterator[Open]:
    made = []

    def open_one(*options: str, **environment: str) -> Terminal:
        """Open one."""
        command = ["flows/top_words.py", "data/taskdata1.txt", "--ask", *options]
        environment = server.environment | mark_for_children(marked) | environment
        made.append(Terminal([*command, "--output-dir", str(folder)], environment))
        return made[-1]

    yield open_one
    for terminal in made:
        terminal.close()


def test_enter(open_terminal: Open) -> None:
    """Enter at each question deletes everything, and the table of words is shown."""
    terminal = open_terminal("--local")

    terminal.answer("Delete job ", "\n")
    terminal.answer("Delete pool ", "\n")

    assert terminal.end() == 0, terminal.text()
    assert re.search(r"deleted .*job tw-.*pool tw-.*; kept nothing", terminal.text())
    assert "1 inputs; " in terminal.text()


def test_no(open_terminal: Open, accounts: LocalAzure, services: Services) -> None:
    """What is not to be deleted is there when the program has ended, and nothing else."""
    terminal = open_terminal(**accounts.environment)

    terminal.answer("Delete job ", "\n")
    terminal.answer("Delete pool ", "n\n")

    assert terminal.end() == 0, terminal.text()
    (name,) = set(re.findall("tw-[0-9a-f]{32}", terminal.text()))
    assert leftovers(services) == [f"pool {name}-1", f"container {name}-application"]
    run = new_run(run_id_of(name), EVERY_ATTEMPT, JobSettings(), CleanUpPolicy())
    delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60)


def test_ctrl_c(open_terminal: Open) -> None:
    """Ctrl-C at a question, which every process of the terminal gets, deletes everything too."""
    terminal = open_terminal("--local")

    terminal.answer("Delete job ", CTRL_C)

    assert terminal.end() == 0, terminal.text()
    assert re.search(r"deleted .*job tw-.*pool tw-.*; kept nothing", terminal.text())

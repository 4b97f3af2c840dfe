"""Real processes in tests: find all that descend from one start, and wait without sleeping long."""

import time
from collections.abc import Callable
from pathlib import Path

_POLL_S = 0.01


class Marked:
    """All processes that carry one mark in their environment, wherever they have been moved.

    Args:
        mark: the value of `VARIABLE` in the environment they were started with.
    """

    VARIABLE = "TEST_PROCESS_MARK"

    def __init__(self, mark: str) -> None:
        self._entry = f"{self.VARIABLE}={mark}".encode()

    def pids(self, command: str = "") -> list[int]:
        """Return all that run; or those whose command line contains a text, wardens left out."""
        running = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        ours = [pid for pid in running if self._entry in _read(pid, "environ").split(b"\0")]
        return [pid for pid in ours if _runs(pid, command)] if command else ours

    def none(self) -> bool:
        """Return whether none is left."""
        return not self.pids()


def wait_until(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it does not hold after that many seconds.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s} s: {condition}")
        time.sleep(_POLL_S)


def _runs(pid: int, command: str) -> bool:
    """Return whether a text is in a command line; that of a warden ends with its command's."""
    line = _read(pid, "cmdline").replace(b"\0", b" ")
    return command.encode() in line and b"warden.py" not in line


def _read(pid: int, name: str) -> bytes:
    """Return a file of a process; nothing if it has ended or belongs to somebody else."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""

"""Processes that outlive their node, or an emulator that was killed; found and killed on Linux.

A task may fork twice and call setsid, so that no process group finds what it left. Such processes
are known by their environment, which names their node's folder. Elsewhere than on Linux they are
left to the warden, at the end of all.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

_MARK = b"AZ_BATCH_NODE_ROOT_DIR="
_RESCAN_S = 0.01


def kill_leftovers(folder: Path) -> int:
    """Kill every process of the node whose folder it is, or of any node below it.

    Returns:
        How many were killed.
    """
    killed: set[int] = set()
    while found := list(_processes_of(folder)):
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        time.sleep(_RESCAN_S)
    return len(killed)


def _processes_of(folder: Path) -> Iterator[int]:
    mark = _MARK + os.fsencode(folder)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            entries = (process / "environ").read_bytes().split(b"\0")
        except OSError:  # it has just ended, or belongs to another user
            continue
        # A zombie has an empty environment: it is not left over.
        if any(entry == mark or entry.startswith(mark + b"/") for entry in entries):
            yield int(process.name)

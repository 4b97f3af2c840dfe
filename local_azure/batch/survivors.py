"""Processes of tasks that outlived an emulator which was killed (Linux).

They are known by their environment, which names their node's folder; whoever holds the data
folder's lock may end all of them. Elsewhere they are left to the warden.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

_MARK = b"AZ_BATCH_NODE_ROOT_DIR="
_RESCAN_S = 0.01


def end_survivors(nodes_dir: Path) -> int:
    """Kill every process of a node below `nodes_dir`, until none is left.

    Returns:
        How many were killed.
    """
    killed: set[int] = set()
    while found := list(_processes_of(nodes_dir)):
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        time.sleep(_RESCAN_S)
    return len(killed)


def _processes_of(nodes_dir: Path) -> Iterator[int]:
    mark = _MARK + os.fsencode(nodes_dir) + b"/"
    for process in Path("/proc").glob("[0-9]*"):
        try:
            entries = (process / "environ").read_bytes().split(b"\0")
        except OSError:  # gone meanwhile, or somebody else's
            continue
        # A zombie has an empty environment: it is no survivor.
        if any(entry.startswith(mark) for entry in entries):
            yield int(process.name)

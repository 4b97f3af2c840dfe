"""Folders of nodes and tasks on disk, and their removal."""

import contextlib
import shutil
from pathlib import Path
from uuid import uuid4

from local_azure.batch.machine.background import Background, Threads
from local_azure.batch.state.records import Node, Task

_NODE_FOLDERS = ("applications", "fsmounts", "shared", "startup", "volatile", "workitems")
_TRASH = ".deleted-"
_deletions = Threads(4)


class Folders:
    """The folders of all nodes, below one folder."""

    def __init__(self, nodes_dir: Path, background: Background) -> None:
        self._nodes_dir = nodes_dir
        self._background = background

    def node_root(self, pool_id: str, node_id: str) -> Path:
        """Where a node's root folder is."""
        return self._nodes_dir / pool_id / node_id

    def make_node(self, root: Path) -> None:
        """Make a node's root folder with what every node has."""
        for name in _NODE_FOLDERS:
            (root / name).mkdir(parents=True, exist_ok=True)

    def remove(self, path: Path) -> None:
        """Move a folder away at once, and delete its content soon after."""
        trash = self._nodes_dir / f"{_TRASH}{uuid4().hex}"
        with contextlib.suppress(FileNotFoundError):
            path.rename(trash)
            self._background.spawn(_delete(trash))

    def remove_node(self, node: Node) -> None:
        """Remove a node's root folder, and its pool's folder with the last one."""
        root = Path(node.root)
        self.remove(root)
        # Other nodes of the pool are still there.
        with contextlib.suppress(OSError):
            root.parent.rmdir()

    def remove_task(self, task: Task) -> None:
        """Remove a task's folder from the node it ran on, if it ran and the node is there."""
        if task.pool_id is not None and task.node_id is not None:
            self.remove(self.node_root(task.pool_id, task.node_id) / task.directory)


def remove_trash(nodes_dir: Path) -> None:
    """Delete what a former emulator had moved away and not yet deleted."""
    for path in nodes_dir.glob(f"{_TRASH}*"):
        shutil.rmtree(path)


async def _delete(path: Path) -> None:
    await _deletions.run(lambda: shutil.rmtree(path))

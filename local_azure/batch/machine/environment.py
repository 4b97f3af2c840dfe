"""The environment of tasks on a node: the AZ_BATCH_* variables and the node's folders.

Nothing of the emulator's own environment reaches a task but PATH.
"""

import os
import sys
from pathlib import Path

from local_azure.batch.state.account import Account
from local_azure.batch.state.records import Node
from local_azure.batch.wire.formats import Json

_SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def _path() -> str:
    # A node has a plain python3: the base interpreter, not the virtual environment around us.
    inherited = os.environ.get("PATH", "").split(os.pathsep)
    own = {str(Path(sys.prefix) / "bin")} if sys.prefix != sys.base_prefix else set()
    folders = [str(Path(sys.base_prefix) / "bin"), *_SYSTEM_PATH, *inherited]
    return os.pathsep.join(dict.fromkeys(part for part in folders if part and part not in own))


def settings(given: list[Json] | None) -> dict[str, str]:
    """Return environment settings of the wire as a mapping; a setting without a value is empty."""
    return {item["name"]: item.get("value", "") for item in given or []}


def node_environment(account: Account, url: str, node: Node, directory: Path) -> dict[str, str]:
    """Build what every command on a node sees.

    Args:
        account: the Batch account.
        url: the account's URL.
        node: the node.
        directory: folder of the task or start task; its `wd` is the working directory.
    """
    root = Path(node.root)
    working = directory / "wd"
    return {
        "PATH": _path(),
        "HOME": str(working),
        "LANG": "C.UTF-8",
        "AZ_BATCH_ACCOUNT_NAME": account.name,
        "AZ_BATCH_ACCOUNT_URL": url,
        "AZ_BATCH_POOL_ID": node.pool_id,
        "AZ_BATCH_NODE_ID": node.id,
        "AZ_BATCH_NODE_IS_DEDICATED": "true" if node.dedicated else "false",
        "AZ_BATCH_NODE_ROOT_DIR": str(root),
        "AZ_BATCH_NODE_SHARED_DIR": str(root / "shared"),
        "AZ_BATCH_NODE_STARTUP_DIR": str(root / "startup"),
        "AZ_BATCH_NODE_MOUNTS_DIR": str(root / "fsmounts"),
        "AZ_BATCH_TASK_DIR": str(directory),
        "AZ_BATCH_TASK_WORKING_DIR": str(working),
    }


def task_environment(
    job_id: str, task_id: str, preparation_dir: Path | None = None
) -> dict[str, str]:
    """Build what only what runs for a job sees.

    Args:
        job_id: the job.
        task_id: the task, or the job's preparation or release task.
        preparation_dir: folder of the job's preparation task on the node, if it has one.
    """
    found = {"AZ_BATCH_JOB_ID": job_id, "AZ_BATCH_TASK_ID": task_id}
    if preparation_dir is not None:
        found["AZ_BATCH_JOB_PREP_DIR"] = str(preparation_dir)
        found["AZ_BATCH_JOB_PREP_WORKING_DIR"] = str(preparation_dir / "wd")
    return found

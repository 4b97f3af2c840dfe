"""Reading the files of tasks and nodes. No path of a client leaves the folder it belongs to."""

import contextlib
import mimetypes
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from local_azure.batch.calls.answers import page
from local_azure.batch.calls.call import Call, Reply
from local_azure.batch.state.records import Node
from local_azure.batch.wire.errors import BatchError, conflict, not_found
from local_azure.batch.wire.formats import Json, format_http_date, format_time

_FIELDS = frozenset({"name", "url", "isDirectory", "properties"})
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


def _node(call: Call, pool_id: str, node_id: str) -> Node:
    call.store.pools.get(pool_id)
    return call.store.nodes.get(pool_id, node_id)


def _node_root(call: Call) -> tuple[Path, str]:
    """Return a node's folder and the URL of its files."""
    node = _node(call, call.ids["pool_id"], call.ids["node_id"])
    return Path(node.root), call.url("pools", node.pool_id, "nodes", node.id, "files")


def _task_root(call: Call) -> tuple[Path, str]:
    """Return a task's folder and the URL of its files."""
    job = call.store.jobs.get(call.ids["job_id"])
    task = call.store.tasks.get(job.id, call.ids["task_id"])
    if task.files_cleaned:
        text = "The files of the specified task were cleaned up after its retention time"
        raise conflict("TaskFilesCleanedup", text, task.id)
    node = (
        call.store.nodes.find(task.pool_id, task.node_id)
        if task.pool_id is not None and task.node_id is not None
        else None
    )
    if node is None:
        text = "The files of the specified task are unavailable: it has no node"
        raise conflict("TaskFilesUnavailable", text, task.id)
    return Path(node.root) / task.directory, call.url("jobs", job.id, "tasks", task.id, "files")


def _resolve(root: Path, name: str) -> Path:
    """Return the file of a name below a folder.

    Raises:
        BatchError: 404, it is not there, or the name (or a link) leads out of the folder.
    """
    if "\0" in name or ".." in PurePosixPath(name).parts:
        raise not_found("File", name)
    # Not Path.resolve: it raises where links go round in a circle.
    root, path = Path(os.path.realpath(root)), Path(os.path.realpath(root / name))
    if root not in path.parents or not path.exists():
        raise not_found("File", name)
    return path


def _quoted(name: str) -> str:
    # A name need not be Unicode: Python keeps what is not as surrogates.
    return quote(name, errors="surrogateescape")


def _properties(path: Path) -> Json:
    found = path.stat()
    changed = datetime.fromtimestamp(found.st_mtime, UTC)
    return {
        "creationTime": format_time(datetime.fromtimestamp(found.st_ctime, UTC)),
        "lastModified": format_time(changed),
        "contentLength": str(found.st_size),
        "contentType": mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        "fileMode": f"0o{found.st_mode:o}",
    }


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:  # its task has just removed it
        return []


def _walk(root: Path, *, recursive: bool) -> Iterator[Path]:
    for path in _children(root):
        yield path
        if recursive and path.is_dir() and not path.is_symlink():
            yield from _walk(path, recursive=True)


def _view(path: Path, root: Path, url: str) -> Json:
    name = path.relative_to(root).as_posix()
    view: Json = {
        "name": name,
        "url": f"{url}/{_quoted(name)}",
        "isDirectory": path.is_dir(),
    }
    return view if path.is_dir() else view | {"properties": _properties(path)}


def _listing(call: Call, root: Path, url: str) -> Reply:
    recursive = call.query.get("recursive", "").lower() == "true"
    paths = _walk(root, recursive=recursive) if root.is_dir() else iter(())
    return page(call, "files", enumerate(_views(paths, root, url), start=1), _FIELDS)


def _views(paths: Iterable[Path], root: Path, url: str) -> Iterator[Json]:
    for path in paths:
        # What its task has just removed, and a link that leads nowhere, have nothing to show.
        with contextlib.suppress(OSError):
            yield _view(path, root, url)


def _headers(path: Path, url: str) -> dict[str, str]:
    properties = _properties(path)
    changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return {
        "Content-Length": properties["contentLength"],
        "Content-Type": properties["contentType"],
        "Last-Modified": format_http_date(changed),
        "ocp-creation-time": format_http_date(changed),
        "ocp-batch-file-isdirectory": str(path.is_dir()),
        "ocp-batch-file-mode": properties["fileMode"],
        "ocp-batch-file-url": url,
    }


def _read(call: Call, root: Path, url: str) -> Reply:
    """Answer with a file's content; a range too is a 200, which is all that the SDK takes."""
    name = call.ids["file_path"]
    path = _resolve(root, name)
    if path.is_dir():
        raise not_found("File", name)
    size = path.stat().st_size
    first, last = _range(call.headers.get("ocp-range"), size)
    headers = _headers(path, f"{url}/{_quoted(name)}") | {"Content-Length": str(last - first + 1)}
    return Reply(headers=headers, file=path, first=first, last=last)


def _range(text: str | None, size: int) -> tuple[int, int]:
    """Return the first and the last byte of an ocp-range, both inclusive."""
    if text is None:
        return 0, size - 1
    found = _RANGE.fullmatch(text)
    first = int(found.group(1)) if found else size
    if found is None or first >= max(size, 1):
        raise BatchError(416, "InvalidRange", f"The range {text} is not within {size} bytes.")
    return first, min(int(found.group(2) or size - 1), size - 1)


def _properties_of(call: Call, root: Path, url: str) -> Reply:
    name = call.ids["file_path"]
    return Reply(headers=_headers(_resolve(root, name), f"{url}/{_quoted(name)}"))


def _delete(call: Call, root: Path) -> Reply:
    name = call.ids["file_path"]
    path = _resolve(root, name)
    if not path.is_dir():
        path.unlink()
    elif call.query.get("recursive", "").lower() == "true":
        shutil.rmtree(path)
    elif any(path.iterdir()):
        raise conflict("DirectoryNotEmpty", "The directory is not empty; ask for recursive", name)
    else:
        path.rmdir()
    return Reply()


def list_task_files(call: Call) -> Reply:
    """GET /jobs/{jobId}/tasks/{taskId}/files."""
    return _listing(call, *_task_root(call))


def get_task_file(call: Call) -> Reply:
    """GET /jobs/{jobId}/tasks/{taskId}/files/{filePath}."""
    return _read(call, *_task_root(call))


def get_task_file_properties(call: Call) -> Reply:
    """HEAD /jobs/{jobId}/tasks/{taskId}/files/{filePath}."""
    return _properties_of(call, *_task_root(call))


def delete_task_file(call: Call) -> Reply:
    """DELETE /jobs/{jobId}/tasks/{taskId}/files/{filePath}."""
    return _delete(call, _task_root(call)[0])


def list_node_files(call: Call) -> Reply:
    """GET /pools/{poolId}/nodes/{nodeId}/files."""
    return _listing(call, *_node_root(call))


def get_node_file(call: Call) -> Reply:
    """GET /pools/{poolId}/nodes/{nodeId}/files/{filePath}."""
    return _read(call, *_node_root(call))


def get_node_file_properties(call: Call) -> Reply:
    """HEAD /pools/{poolId}/nodes/{nodeId}/files/{filePath}."""
    return _properties_of(call, *_node_root(call))


def delete_node_file(call: Call) -> Reply:
    """DELETE /pools/{poolId}/nodes/{nodeId}/files/{filePath}."""
    return _delete(call, _node_root(call)[0])

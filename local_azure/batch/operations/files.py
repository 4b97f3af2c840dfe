"""Reading the files of tasks and nodes. No path of a client leaves the folder it belongs to.

A task may have put anything there: a million files, a FIFO, a link to itself. So all of it is
done in threads, and only folders and regular files are shown and read.
"""

import contextlib
import mimetypes
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from local_azure.batch.calls.answers import Page
from local_azure.batch.calls.call import Call, Reply
from local_azure.batch.machine.background import Threads
from local_azure.batch.machine.regular_files import check_regular, open_to_read
from local_azure.batch.state.records import Node
from local_azure.batch.wire.errors import BatchError, conflict, not_found
from local_azure.batch.wire.formats import Json, format_http_date, format_time

_FIELDS = frozenset({"name", "url", "isDirectory", "properties"})
# More digits than any size has, and no more than Python converts.
_RANGE = re.compile(r"bytes=([0-9]{1,30})-([0-9]{0,30})")
_threads = Threads(16)


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


def _is_folder(found: os.stat_result) -> bool:
    return stat.S_ISDIR(found.st_mode)


def _time_of(found: os.stat_result) -> datetime:
    return datetime.fromtimestamp(found.st_mtime, UTC)


def _properties(path: Path, found: os.stat_result) -> Json:
    return {
        "creationTime": format_time(datetime.fromtimestamp(found.st_ctime, UTC)),
        "lastModified": format_time(_time_of(found)),
        "contentLength": str(found.st_size),
        "contentType": mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        "fileMode": f"0o{found.st_mode:o}",
    }


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # its task has just removed it, or has closed it to its own user
        return []


def _walk(root: Path, *, recursive: bool) -> Iterator[Path]:
    for path in _children(root):
        yield path
        if recursive and path.is_dir() and not path.is_symlink():
            yield from _walk(path, recursive=True)


def _view(path: Path, root: Path, url: str) -> Json:
    name, found = path.relative_to(root).as_posix(), path.stat()
    view: Json = {
        "name": name,
        "url": f"{url}/{_quoted(name)}",
        "isDirectory": _is_folder(found),
    }
    if _is_folder(found):
        return view
    check_regular(path, found.st_mode)
    return view | {"properties": _properties(path, found)}


def _listing(call: Call, root: Path, url: str) -> Reply:
    recursive = call.query.get("recursive", "").lower() == "true"
    paths = _walk(root, recursive=recursive) if root.is_dir() else iter(())
    page = Page(call, "files", _FIELDS)
    page.fill(enumerate(_views(paths, root, url), start=1))
    return page.reply()


def _views(paths: Iterable[Path], root: Path, url: str) -> Iterator[Json]:
    for path in paths:
        # What its task has just removed, a link that leads nowhere, and what is neither a folder
        # nor a regular file have nothing to show.
        with contextlib.suppress(OSError):
            yield _view(path, root, url)


def _headers(path: Path, found: os.stat_result, url: str) -> dict[str, str]:
    properties, changed = _properties(path, found), _time_of(found)
    return {
        "Content-Length": properties["contentLength"],
        "Content-Type": properties["contentType"],
        "Last-Modified": format_http_date(changed),
        "ocp-creation-time": format_http_date(changed),
        "ocp-batch-file-isdirectory": str(_is_folder(found)),
        "ocp-batch-file-mode": properties["fileMode"],
        "ocp-batch-file-url": url,
    }


def _read(call: Call, root: Path, url: str) -> Reply:
    """Answer with a file's content; a range too is a 200, which is all that the SDK takes."""
    name = call.ids["file_path"]
    path = _resolve(root, name)
    try:
        file = open_to_read(path)
    except OSError as error:
        raise not_found("File", name) from error
    with contextlib.ExitStack() as opened:
        opened.enter_context(file)
        found = os.fstat(file.fileno())
        first, last = _range(call.headers.get("ocp-range"), found.st_size)
        headers = _headers(path, found, f"{url}/{_quoted(name)}")
        file.seek(first)
        opened.pop_all()
    length = last - first + 1
    return Reply(headers=headers | {"Content-Length": str(length)}, file=file, length=length)


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
    path = _resolve(root, name)
    try:
        found = path.stat()
        if not _is_folder(found):
            check_regular(path, found.st_mode)
    except OSError as error:
        raise not_found("File", name) from error
    return Reply(headers=_headers(path, found, f"{url}/{_quoted(name)}"))


def _delete(call: Call, root: Path, _url: str) -> Reply:
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


async def _of_task(call: Call, work: Callable[[Call, Path, str], Reply]) -> Reply:
    root, url = _task_root(call)
    return await _threads.run(lambda: work(call, root, url))


async def _of_node(call: Call, work: Callable[[Call, Path, str], Reply]) -> Reply:
    root, url = _node_root(call)
    return await _threads.run(lambda: work(call, root, url))


async def list_task_files(call: Call) -> Reply:
    """GET /jobs/{jobId}/tasks/{taskId}/files."""
    return await _of_task(call, _listing)


async def get_task_file(call: Call) -> Reply:
    """GET /jobs/{jobId}/tasks/{taskId}/files/{filePath}."""
    return await _of_task(call, _read)


async def get_task_file_properties(call: Call) -> Reply:
    """HEAD /jobs/{jobId}/tasks/{taskId}/files/{filePath}."""
    return await _of_task(call, _properties_of)


async def delete_task_file(call: Call) -> Reply:
    """DELETE /jobs/{jobId}/tasks/{taskId}/files/{filePath}."""
    return await _of_task(call, _delete)


async def list_node_files(call: Call) -> Reply:
    """GET /pools/{poolId}/nodes/{nodeId}/files."""
    return await _of_node(call, _listing)


async def get_node_file(call: Call) -> Reply:
    """GET /pools/{poolId}/nodes/{nodeId}/files/{filePath}."""
    return await _of_node(call, _read)


async def get_node_file_properties(call: Call) -> Reply:
    """HEAD /pools/{poolId}/nodes/{nodeId}/files/{filePath}."""
    return await _of_node(call, _properties_of)


async def delete_node_file(call: Call) -> Reply:
    """DELETE /pools/{poolId}/nodes/{nodeId}/files/{filePath}."""
    return await _of_node(call, _delete)

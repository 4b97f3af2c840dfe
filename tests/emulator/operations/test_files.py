"""Files of tasks and nodes as the Batch emulator serves them."""

import hashlib
from pathlib import Path

import pytest
from azure.batch import BatchClient

from tests.support.emulator import builders as kit
from tests.support.emulator.emulators import Emulator


@pytest.fixture
def task(batch: BatchClient, job: str) -> str:
    """A completed task with output, an error text, and two files."""
    script = "echo out; echo err >&2; echo x >a.txt; mkdir sub; echo y >'sub/ü b.txt'"
    return str(kit.run(batch, job, kit.sh(script)).id)


def names(batch: BatchClient, job: str, task: str, *, recursive: bool = True) -> list[str]:
    """Return the names of a task's files."""
    files = batch.list_task_files(job, task, recursive=recursive)
    return sorted(str(file.name) for file in files)


def test_list_of_a_tasks_files(batch: BatchClient, job: str, task: str) -> None:
    """Names are relative to the task's folder; folders are listed too."""
    assert names(batch, job, task) == [
        "stderr.txt",
        "stdout.txt",
        "wd",
        "wd/a.txt",
        "wd/sub",
        "wd/sub/ü b.txt",
    ]


def test_list_without_what_is_in_folders(batch: BatchClient, job: str, task: str) -> None:
    """Unless asked for, folders are not entered."""
    assert names(batch, job, task, recursive=False) == ["stderr.txt", "stdout.txt", "wd"]


def test_list_in_pages(batch: BatchClient, job: str, task: str) -> None:
    """Pages of two give the same files as one."""
    files = batch.list_task_files(job, task, recursive=True, max_results=2)

    assert len(list(files)) == 6


def test_list_with_a_filter(batch: BatchClient, job: str, task: str) -> None:
    """Files can be chosen by the beginning of their name."""
    files = batch.list_task_files(job, task, recursive=True, filter="startswith(name, 'wd/s')")

    assert [file.name for file in files] == ["wd/sub", "wd/sub/ü b.txt"]


def test_what_a_list_says_of_a_file(batch: BatchClient, job: str, task: str) -> None:
    """Size, type and mode; folders have none of it."""
    files = {file.name: file for file in batch.list_task_files(job, task)}

    folder, stdout = files["wd"], files["stdout.txt"]
    assert (folder.is_directory, folder.properties) == (True, None)
    assert stdout.properties is not None
    assert stdout.properties.content_length == 4
    assert stdout.properties.content_type == "text/plain"
    assert stdout.properties.file_mode == "0o100644"


def test_streams_are_kept(batch: BatchClient, job: str, task: str) -> None:
    """Stdout and stderr are files of their own."""
    assert kit.read(batch, job, task, "stdout.txt") == "out\n"
    assert kit.read(batch, job, task, "stderr.txt") == "err\n"


def test_names_with_slashes_and_letters_of_all_kinds(
    batch: BatchClient, job: str, task: str
) -> None:
    """The SDK sends such names percent-encoded."""
    assert kit.read(batch, job, task, "wd/sub/ü b.txt") == "y\n"


def test_output_of_a_running_task_can_be_read(batch: BatchClient, job: str) -> None:
    """As far as it is written."""
    task_id = kit.a_task(
        batch, job, kit.sh("echo begun; touch $AZ_BATCH_TASK_WORKING_DIR/on; sleep 60")
    )
    kit.reach(batch, job, task_id, "running")
    while "wd/on" not in names(batch, job, task_id):
        pass

    assert kit.read(batch, job, task_id) == "begun\n"


def test_large_output_comes_whole(batch: BatchClient, job: str) -> None:
    """Tens of megabytes arrive byte for byte."""
    script = "head -c 40000000 /dev/urandom | tee copy; sha256sum copy >&2"
    task_id = str(kit.run(batch, job, kit.sh(script)).id)

    digest = hashlib.sha256()
    for block in batch.download_task_file(job, task_id, "stdout.txt"):
        digest.update(block)

    assert digest.hexdigest() == kit.read(batch, job, task_id, "stderr.txt").split()[0]


@pytest.mark.parametrize(
    ("asked", "content"),
    [("bytes=0-1", b"ou"), ("bytes=1-", b"ut\n"), ("bytes=2-99", b"t\n")],
)
def test_a_range_is_a_success(
    batch: BatchClient, job: str, task: str, asked: str, content: bytes
) -> None:
    """Part of a file comes with status 200: the SDK takes no 206."""
    blocks = batch.download_task_file(job, task, "stdout.txt", ocp_range=asked)

    assert b"".join(blocks) == content


@pytest.mark.parametrize("asked", ["bytes=4-", "bytes=-2", "lines=1-2"])
def test_a_range_beyond_the_file(batch: BatchClient, job: str, task: str, asked: str) -> None:
    """What is not there cannot be had."""
    with kit.no_download(416):
        batch.download_task_file(job, task, "stdout.txt", ocp_range=asked)


def test_an_empty_file(batch: BatchClient, job: str) -> None:
    """It has no bytes and is not an error."""
    task_id = str(kit.run(batch, job, "true").id)

    assert kit.read(batch, job, task_id) == ""


def test_properties_of_a_file(batch: BatchClient, job: str, task: str) -> None:
    """HEAD tells size and address without the content."""
    properties = batch.get_task_file_properties(job, task, "wd/a.txt")

    assert properties.content_length == 2
    assert str(properties.url).endswith("/files/wd/a.txt")
    assert properties.is_directory is False


@pytest.mark.parametrize(
    "path",
    ["none.txt", "wd", "../../../startup", "wd/../../../../shared", "/etc/passwd"],
)
def test_what_is_no_file_of_the_task(batch: BatchClient, job: str, task: str, path: str) -> None:
    """Missing files, folders, and ways out of the folder are not found."""
    with kit.no_download(404):
        batch.download_task_file(job, task, path)


def test_links_out_of_the_folder_lead_nowhere(batch: BatchClient, job: str) -> None:
    """A task cannot make the service give away other files."""
    script = "ln -s /etc/passwd out; ln -s round round; ln -s gone broken"
    task_id = str(kit.run(batch, job, kit.sh(script)).id)

    for name in ("out", "round", "broken"):
        with kit.no_download(404):
            batch.download_task_file(job, task_id, f"wd/{name}")
    assert "wd/out" in names(batch, job, task_id)


def test_names_that_are_no_text(batch: BatchClient, job: str) -> None:
    """A file whose name is not UTF-8 does not spoil the list."""
    script = 'python3 -c \'open(b"bad\\xff", "w")\'; touch good'
    task_id = str(kit.run(batch, job, kit.sh(script)).id)

    assert "wd/good" in names(batch, job, task_id)


def test_lists_while_a_task_makes_and_removes_files(batch: BatchClient, job: str) -> None:
    """A file that goes while it is listed is left out."""
    script = "while :; do mkdir -p d/e; touch d/e/f; rm -r d; done"
    task_id = kit.a_task(batch, job, kit.sh(script), constraints=kit.constraints(limit_s=20))
    kit.reach(batch, job, task_id, "running")

    for _ in range(100):
        assert "stdout.txt" in names(batch, job, task_id)


def test_delete_of_a_file(batch: BatchClient, job: str, task: str) -> None:
    """It is gone, others stay."""
    batch.delete_task_file(job, task, "wd/a.txt")

    assert "wd/a.txt" not in names(batch, job, task)
    assert "wd/sub" in names(batch, job, task)


def test_delete_of_a_folder(batch: BatchClient, job: str, task: str) -> None:
    """A folder with something in it goes only where that is asked for."""
    with kit.refused(409, "DirectoryNotEmpty"):
        batch.delete_task_file(job, task, "wd/sub")

    batch.delete_task_file(job, task, "wd/sub", recursive=True)

    assert "wd/sub" not in names(batch, job, task)


def test_a_task_that_never_ran_has_no_files(batch: BatchClient) -> None:
    """There is no node to ask."""
    job_id = kit.a_job(batch, "no-such-pool")
    task_id = kit.a_task(batch, job_id)
    with kit.refused(409, "TaskFilesUnavailable"):
        list(batch.list_task_files(job_id, task_id))


def test_files_go_with_their_node(batch: BatchClient, pool: str, job: str, task: str) -> None:
    """The task stays, its files are unavailable."""
    kit.delete_pool(batch, pool)

    with kit.refused(409, "TaskFilesUnavailable"):
        list(batch.list_task_files(job, task))


def test_files_of_a_node(batch: BatchClient, pool: str, job: str, task: str) -> None:
    """A node's root has the folders of every node, and the tasks' below workitems."""
    node_id = str(kit.node_of(batch, pool).id)

    top = {file.name for file in batch.list_node_files(pool, node_id)}
    blocks = batch.download_node_file(pool, node_id, f"workitems/{job}/job-1/{task}/stdout.txt")

    assert top == {"applications", "fsmounts", "shared", "startup", "volatile", "workitems"}
    assert b"".join(blocks) == b"out\n"


def test_properties_and_deletion_of_a_nodes_file(batch: BatchClient, pool: str, job: str) -> None:
    """Node files answer HEAD and DELETE like those of tasks."""
    kit.run(batch, job, kit.sh('echo abc >"$AZ_BATCH_NODE_SHARED_DIR/x"'))
    node_id = str(kit.node_of(batch, pool).id)
    assert batch.get_node_file_properties(pool, node_id, "shared/x").content_length == 4

    batch.delete_node_file(pool, node_id, "shared/x")

    files = batch.list_node_files(pool, node_id, recursive=True)
    assert "shared/x" not in {file.name for file in files}


def test_a_task_folder_is_where_the_task_says(
    batch: BatchClient, emulator: Emulator, pool: str, job: str, task: str
) -> None:
    """NodeInfo names the task's folder below the node's."""
    info = batch.get_task(job, task).node_info
    assert info is not None

    root = emulator.nodes_dir / pool / str(info.node_id)

    assert (root / Path(str(info.task_root_directory)) / "wd" / "a.txt").read_text() == "x\n"

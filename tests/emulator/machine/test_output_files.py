"""Output files: from the Batch emulator's nodes into a real Azurite."""

import pytest
from azure.batch import BatchClient
from azure.storage.blob import BlobServiceClient, ContainerClient

from tests.support.emulator import builders as kit
from tests.support.emulator.blobs import blobs, files_out, signed
from tests.support.processes import wait_until


def test_a_single_output_file(batch: BatchClient, job: str, container: ContainerClient) -> None:
    """Its blob is called as its path says."""
    kit.run(
        batch,
        job,
        kit.sh("printf x >a.txt"),
        output_files=files_out(signed(container, "cw"), "a.txt", "results/one.txt"),
    )

    assert blobs(container) == {"results/one.txt": b"x"}


def test_an_output_file_without_a_path(
    batch: BatchClient, job: str, container: ContainerClient
) -> None:
    """Its blob is called as the file below the working directory."""
    script = kit.sh("mkdir d; printf x >d/a.txt")

    kit.run(batch, job, script, output_files=files_out(signed(container, "cw"), "d/a.txt"))

    assert blobs(container) == {"d/a.txt": b"x"}


def test_a_pattern_with_wildcards(batch: BatchClient, job: str, container: ContainerClient) -> None:
    """Its path is a folder; hidden files and other names stay behind."""
    script = kit.sh("mkdir -p d/e; for f in a.txt d/b.txt d/e/c.txt .h.txt d/x.md; do : >$f; done")

    kit.run(batch, job, script, output_files=files_out(signed(container, "cw"), "**/*.txt", "all"))

    assert sorted(blobs(container)) == ["all/a.txt", "all/d/b.txt", "all/d/e/c.txt"]


@pytest.mark.parametrize(
    "script",
    [
        "mkfifo fifo",
        "mkdir d; ln -s . d/one; ln -s . d/two",
        "ln -s round round; ln -s gone broken",
        "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"socket\")'",
    ],
    ids=["fifo", "links to their folder", "links to nothing", "socket"],
)
def test_what_a_pattern_cannot_upload(
    batch: BatchClient, job: str, container: ContainerClient, script: str
) -> None:
    """FIFOs, sockets and links in a circle match nothing, and keep nobody busy."""
    task = kit.run(
        batch,
        job,
        kit.sh(f"{script}; printf x >a.txt"),
        output_files=files_out(signed(container, "cw"), "**/*"),
    )

    assert kit.failure_code(task) is None
    assert blobs(container) == {"a.txt": b"x"}


@pytest.mark.parametrize("script", ["mkfifo special", "ln -s special special"])
def test_a_name_that_cannot_be_uploaded(
    batch: BatchClient, job: str, container: ContainerClient, script: str
) -> None:
    """Named without wildcards, a FIFO and a link to itself are a file that is not there."""
    outputs = files_out(signed(container, "cw"), "special")

    task = kit.run(batch, job, kit.sh(script), output_files=outputs)

    assert kit.failure_code(task) == "FileUploadMiscError"


def test_an_output_whose_name_is_no_text(
    batch: BatchClient, job: str, container: ContainerClient
) -> None:
    """No blob can have such a name: the task fails and says so."""
    script = 'python3 -c \'open(b"bad\\xff", "w")\''
    outputs = files_out(signed(container, "cw"), "*")

    task = kit.run(batch, job, kit.sh(script), output_files=outputs)

    assert kit.failure_code(task) == "FileUploadMiscError"


@pytest.mark.parametrize(
    "pattern", ["$AZ_BATCH_TASK_WORKING_DIR/d/**/*.txt", "./d/./**/**/?.txt", "**/e/../[b-c].txt"]
)
def test_patterns_of_other_forms(
    batch: BatchClient, job: str, container: ContainerClient, pattern: str
) -> None:
    """Absolute ones, and those with dots, mean the files that they would mean to a shell."""
    script = kit.sh("mkdir -p d/e d/.h; printf x | tee a.txt d/b.txt d/e/long.txt d/.h/c.txt")

    kit.run(batch, job, script, output_files=files_out(signed(container, "cw"), pattern))

    wanted = {"d/b.txt", "d/e/long.txt"} if "$" in pattern else {"d/b.txt"}
    assert set(blobs(container)) == wanted


def test_streams_as_output_files(batch: BatchClient, job: str, container: ContainerClient) -> None:
    """Stdout and stderr lie beside the working directory."""
    outputs = files_out(signed(container, "cw"), "../std*.txt", "logs/$AZ_BATCH_TASK_ID")

    kit.run(batch, job, kit.sh("echo out; echo err >&2"), output_files=outputs)

    assert sorted(blobs(container).values()) == [b"err\n", b"out\n"]


def test_a_pattern_with_a_variable(
    batch: BatchClient, job: str, container: ContainerClient
) -> None:
    """Variables of the task's environment are known."""
    script = kit.sh('printf x >"$AZ_BATCH_TASK_ID.txt"')
    outputs = files_out(signed(container, "cw"), "$AZ_BATCH_TASK_ID.txt", "one")

    kit.run(batch, job, script, output_files=outputs)

    assert blobs(container) == {"one": b"x"}


@pytest.mark.parametrize(
    ("condition", "exit_code", "uploaded"),
    [
        ("tasksuccess", 0, True),
        ("tasksuccess", 1, False),
        ("taskfailure", 0, False),
        ("taskfailure", 1, True),
        ("taskcompletion", 0, True),
        ("taskcompletion", 1, True),
    ],
)
def test_conditions(  # noqa: PLR0913 - a row of the table above
    batch: BatchClient,
    job: str,
    container: ContainerClient,
    condition: str,
    exit_code: int,
    *,
    uploaded: bool,
) -> None:
    """The exit code decides what is uploaded."""
    outputs = files_out(signed(container, "cw"), "../stdout.txt", "out", condition)

    kit.run(batch, job, kit.sh(f"exit {exit_code}"), output_files=outputs)

    assert bool(blobs(container)) is uploaded


def test_output_of_a_task_at_its_limit(
    batch: BatchClient, job: str, container: ContainerClient
) -> None:
    """What it wrote before it was killed is uploaded like that of any failure."""
    outputs = files_out(signed(container, "cw"), "../stdout.txt", "out", "taskfailure")

    kit.run(
        batch,
        job,
        kit.sh("echo begun; sleep 60"),
        output_files=outputs,
        constraints=kit.constraints(limit_s=0.3),
    )

    assert blobs(container) == {"out": b"begun\n"}


def test_upload_headers(batch: BatchClient, job: str, container: ContainerClient) -> None:
    """They describe the blob."""
    outputs = files_out(
        signed(container, "cw"),
        "../stdout.txt",
        "out",
        headers={"x-ms-blob-content-type": "text/x-log"},
    )

    kit.run(batch, job, "true", output_files=outputs)

    properties = container.get_blob_client("out").get_blob_properties()
    assert properties.content_settings.content_type == "text/x-log"


def test_a_retried_task_overwrites_its_output(
    batch: BatchClient, job: str, container: ContainerClient
) -> None:
    """Each run uploads; the last one counts."""
    script = 'n="$AZ_BATCH_NODE_SHARED_DIR/n"; echo x >>"$n"; cp "$n" out; test $(wc -l <"$n") = 2'

    kit.run(
        batch,
        job,
        kit.sh(script),
        output_files=files_out(signed(container, "cw"), "out"),
        constraints=kit.constraints(retries=1),
    )

    assert blobs(container) == {"out": b"x\nx\n"}


def test_a_missing_output_file_fails_the_task(
    batch: BatchClient, job: str, container: ContainerClient
) -> None:
    """Exit code 0 is not a success without the file that was promised, and is not retried."""
    outputs = files_out(signed(container, "cw"), "never-written.txt")

    task = kit.run(batch, job, "true", output_files=outputs, constraints=kit.constraints(retries=2))

    info = kit.info_of(task)
    assert (info.result, info.exit_code, info.retry_count) == ("failure", 0, 0)
    assert kit.failure_code(task) == "FileUploadMiscError"


def test_wildcards_may_match_nothing(
    batch: BatchClient, job: str, container: ContainerClient
) -> None:
    """A pattern promises no file."""
    task = kit.run(batch, job, "true", output_files=files_out(signed(container, "cw"), "*.txt"))

    assert kit.info_of(task).result == "success"


def test_an_upload_that_is_refused(
    batch: BatchClient, job: str, container: ContainerClient
) -> None:
    """The task fails and says so, without the SAS."""
    outputs = files_out(signed(container, "r"), "../stdout.txt", "out")

    task = kit.run(batch, job, "true", output_files=outputs)

    assert kit.failure_code(task) == "FileUploadAccessDenied"
    assert "sig=" not in str(kit.info_of(task).failure_info)


def test_an_upload_to_nowhere(
    batch: BatchClient, job: str, blob_service: BlobServiceClient
) -> None:
    """A container that does not exist is recognised."""
    gone = blob_service.get_container_client("never-created")

    task = kit.run(batch, job, "true", output_files=files_out(signed(gone, "cw"), "../stdout.txt"))

    assert kit.failure_code(task) == "FileUploadContainerNotFound"


def test_files_outside_the_tasks_folder_are_not_uploaded(
    batch: BatchClient, job: str, container: ContainerClient
) -> None:
    """Neither by the pattern nor by a link."""
    url = signed(container, "cw")
    outputs = [*files_out(url, "../../../../../shared/*"), *files_out(url, "*.link")]
    script = 'echo x >"$AZ_BATCH_NODE_SHARED_DIR/x"; ln -s /etc/passwd p.link'

    kit.run(batch, job, kit.sh(script), output_files=outputs)

    assert blobs(container) == {}


def test_terminate_while_output_is_uploaded(
    batch: BatchClient, pool: str, job: str, silent_server: str
) -> None:
    """The task is ended and its slot free though the upload hangs."""
    outputs = files_out(silent_server, "../stdout.txt", "out")
    task = kit.a_task(batch, job, kit.sh("echo done"), output_files=outputs)
    kit.reach(batch, job, task, "running")

    batch.terminate_task(job, task)

    wait_until(lambda: kit.node_of(batch, pool).state == "idle")
    assert kit.failure_code(batch.get_task(job, task)) == "TaskEnded"

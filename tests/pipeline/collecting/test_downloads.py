"""Downloads: verified against the service, read again when damaged, and complete or a reason."""

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient

from prefect_azure_batch.collecting.downloads import Downloads
from prefect_azure_batch.collecting.logs import log_path
from prefect_azure_batch.errors import ConfigurationError, ServiceError
from prefect_azure_batch.model.result import Ending
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.tasks import PlannedTask
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.settings import JobSettings
from tests.support.contexts import a_context
from tests.support.pipeline.outputs import put
from tests.support.processes import wait_until

pytestmark = pytest.mark.usefixtures("nothing_left")

PLANNED = PlannedTask("topNtask0", ("a.txt",), (), (), ("a_OUTPUT.txt",), ("a_OUTPUT.txt",))
BUNDLE = PlannedTask(
    id="bundle0",
    inputs=("a.txt", "b.txt"),
    arguments=(),
    files=(),
    outputs=("bundle0_OUTPUT.tar",),
    results=("bundle0_OUTPUT.tar",),
    unpacks_to=("a_OUTPUT.txt", "b_OUTPUT.txt"),
)
ALL_LOGS = JobSettings(keep_all_logs=True)
GOOD = Ending("topNtask0", succeeded=True, exit_code=0)
BAD = Ending("topNtask0", succeeded=False, exit_code=3, code="FailureExitCode")


def archive(records: dict[str, int], members: dict[str, bytes]) -> bytes:
    """Return an archive of outputs with exit records."""
    lines = [
        json.dumps({"filepath": name, "output": "", "exit_code": code, "reason": f"{name} is bad"})
        for name, code in records.items()
    ]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in {"bundle0_EXITS.jsonl": "\n".join(lines).encode(), **members}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_folder_that_takes_no_file(
    services: Services, run: Run, outputs: ContainerClient, tmp_path: Path
) -> None:
    """A folder that cannot be written to any more is named, with what to do."""
    put(outputs, "a_OUTPUT.txt", b"A")
    (tmp_path / ".a_OUTPUT.txt.part").mkdir()

    with Downloads(a_context(services, run, folder=tmp_path)) as downloads:
        downloads.begin(PLANNED, GOOD)
        with pytest.raises(ConfigurationError, match=r"output_dir .* name another folder"):
            downloads.finish()


def test_full_disk_names_the_output(
    services: Services, run: Run, outputs: ContainerClient, tmp_path: Path
) -> None:
    """What a full disk does not take is an error with the file and what to do."""
    put(outputs, "a_OUTPUT.txt", b"A")
    (tmp_path / ".a_OUTPUT.txt.part").symlink_to("/dev/full")

    with Downloads(a_context(services, run, folder=tmp_path)) as downloads:
        downloads.begin(PLANNED, GOOD)
        full = r"took no file '.*a_OUTPUT\.txt.*': No space left.*make room"
        with pytest.raises(ConfigurationError, match=full):
            downloads.finish()


def test_full_folder_is_reported_before_the_end(
    services: Services, run: Run, outputs: ContainerClient, tmp_path: Path
) -> None:
    """A folder that takes no file ends the run soon, not when all batch tasks have ended."""
    put(outputs, "a_OUTPUT.txt", b"A")
    (tmp_path / ".a_OUTPUT.txt.part").mkdir()

    with (
        Downloads(a_context(services, run, folder=tmp_path)) as downloads,
        pytest.raises(ConfigurationError, match="took no file"),
    ):
        wait_until(lambda: downloads.begin(PLANNED, GOOD))


def test_failed_bundle_leaves_nothing_of_an_earlier_run(
    services: Services,
    run: Run,
    outputs: ContainerClient,  # noqa: ARG001 - the empty container
    tmp_path: Path,
) -> None:
    """What an earlier run left under the names of a bundle that failed whole is deleted."""
    (tmp_path / "a_OUTPUT.txt").write_text("of an earlier run")

    with Downloads(a_context(services, run, folder=tmp_path)) as downloads:
        downloads.begin(BUNDLE, replace(BAD, batch_task_id="bundle0"))
        downloads.finish()

    assert not (tmp_path / "a_OUTPUT.txt").exists()


def test_second_end_of_a_batch_task_counts(
    services: Services, run: Run, outputs: ContainerClient, tmp_path: Path
) -> None:
    """One that failed, was activated again by somebody and then succeeded has not failed."""
    with Downloads(a_context(services, run, folder=tmp_path)) as downloads:
        downloads.begin(PLANNED, BAD)
        downloads.finish()
        put(outputs, "a_OUTPUT.txt", b"A")
        downloads.begin(PLANNED, GOOD)
        assert downloads.finish() == {}

    assert downloads.failures == []


def test_stopped_run_downloads_nothing(services: Services, run: Run, tmp_path: Path) -> None:
    """A run that must not continue stops its downloads."""

    def check() -> None:
        raise ServiceError("lost")

    context = a_context(replace(services, guard=check), run, folder=tmp_path)

    with Downloads(context) as downloads:
        downloads.begin(PLANNED, GOOD)
        with pytest.raises(ServiceError, match="lost"):
            downloads.finish()


def test_good_batch_task(
    services: Services, run: Run, outputs: ContainerClient, tmp_path: Path
) -> None:
    """The output of a good batch task is there; its old logs are gone, new ones are not missed."""
    put(outputs, "a_OUTPUT.txt", b"A")
    log = log_path(tmp_path, "topNtask0") / "stderr.txt"
    log.parent.mkdir(parents=True)
    log.write_text("of an earlier run")

    with Downloads(a_context(services, run, folder=tmp_path)) as downloads:
        downloads.begin(PLANNED, GOOD)
        assert downloads.finish() == {}

    assert downloads.failures == []
    assert (tmp_path / "a_OUTPUT.txt").read_bytes() == b"A"
    assert not log.exists()


def test_output_of_a_good_batch_task_is_not_there(
    services: Services, run: Run, outputs: ContainerClient, tmp_path: Path
) -> None:
    """A lost output is reported until its batch task has left it."""
    with Downloads(a_context(services, run, folder=tmp_path)) as downloads:
        downloads.begin(PLANNED, GOOD)
        assert downloads.finish() == {"topNtask0": "'a_OUTPUT.txt' is not there"}

        put(outputs, "a_OUTPUT.txt", b"A")
        downloads.begin(PLANNED, GOOD)
        assert downloads.finish() == {}


def test_failed_batch_task(
    services: Services, run: Run, outputs: ContainerClient, tmp_path: Path
) -> None:
    """A failed batch task leaves its logs, its last line of stderr, and no output."""
    put(outputs, "logs/topNtask0/stderr.txt", b"first\nlast?sig=SECRET\n")
    (tmp_path / "a_OUTPUT.txt").write_text("of an earlier run")

    with Downloads(a_context(services, run, folder=tmp_path)) as downloads:
        downloads.begin(PLANNED, BAD)
        assert downloads.finish() == {}

    (failure,) = downloads.failures
    assert (failure.inputs, failure.ending) == (("a.txt",), BAD)
    assert failure.last_line == "last?sig=***"
    assert not (tmp_path / "a_OUTPUT.txt").exists()
    log = log_path(tmp_path, "topNtask0") / "stderr.txt"
    assert log.read_bytes() == b"first\nlast?sig=***\n"


def test_input_that_a_node_could_not_read_is_tried_again(
    services: Services, run: Run, outputs: ContainerClient, tmp_path: Path
) -> None:
    """If storage did not answer the node, the batch task is lost, not failed: others run it."""
    with Downloads(a_context(services, run, folder=tmp_path)) as downloads:
        downloads.begin(PLANNED, replace(BAD, exit_code=None, code="BlobDownloadMiscError"))

        (reason,) = downloads.finish().values()

    assert "BlobDownloadMiscError" in reason
    assert downloads.failures == []
    assert not outputs.get_blob_client("a_OUTPUT.txt").exists()


def test_failed_batch_task_of_many_inputs(
    services: Services, run: Run, outputs: ContainerClient, tmp_path: Path
) -> None:
    """Where each input leaves its own output, those without one have failed."""
    put(outputs, "b_OUTPUT.txt", b"B")
    planned = replace(BUNDLE, results=("a_OUTPUT.txt", "b_OUTPUT.txt"), unpacks_to=())

    with Downloads(a_context(services, run, folder=tmp_path)) as downloads:
        downloads.begin(planned, replace(BAD, batch_task_id="bundle0"))
        assert downloads.finish() == {}

    assert [failure.inputs for failure in downloads.failures] == [("a.txt",)]
    assert (tmp_path / "b_OUTPUT.txt").read_bytes() == b"B"


def test_all_logs(services: Services, run: Run, outputs: ContainerClient, tmp_path: Path) -> None:
    """If all logs are kept, those of good batch tasks come too."""
    put(outputs, "a_OUTPUT.txt", b"A")
    put(outputs, "logs/topNtask0/stdout.txt", b"out")

    with Downloads(a_context(services, run, job=ALL_LOGS, folder=tmp_path)) as downloads:
        downloads.begin(PLANNED, GOOD)
        downloads.finish()

    assert (log_path(tmp_path, "topNtask0") / "stdout.txt").read_bytes() == b"out"


def test_bundle_with_a_bad_input(
    services: Services, run: Run, outputs: ContainerClient, tmp_path: Path
) -> None:
    """The good inputs of a failed bundle have results; the bad one fails with its own reason."""
    content = archive({"a.txt": 3, "b.txt": 0}, {"b_OUTPUT.txt": b"B"})
    put(outputs, "bundle0_OUTPUT.tar", content)

    with Downloads(a_context(services, run, folder=tmp_path)) as downloads:
        downloads.begin(BUNDLE, replace(BAD, batch_task_id="bundle0", exit_code=1))
        assert downloads.finish() == {}

    (failure,) = downloads.failures
    assert failure.inputs == ("a.txt",)
    assert (failure.ending.exit_code, failure.ending.message) == (3, "a.txt is bad")
    assert (tmp_path / "b_OUTPUT.txt").read_bytes() == b"B"


@pytest.mark.parametrize(
    "content",
    [
        archive({"a.txt": 3, "b.txt": 0}, {"b_OUTPUT.txt": b"B"}),
        archive({"a.txt": 0, "b.txt": 0}, {"b_OUTPUT.txt": b"B"}),
        b"no archive",
    ],
    ids=["bad input", "output not there", "no archive"],
)
def test_bundle_of_an_earlier_attempt(
    services: Services, run: Run, outputs: ContainerClient, tmp_path: Path, content: bytes
) -> None:
    """A bundle from an earlier attempt that is not good is lost, so that it is counted again."""
    put(outputs, "bundle0_OUTPUT.tar", content)

    with Downloads(a_context(services, run, folder=tmp_path)) as downloads:
        downloads.begin(BUNDLE, None)
        assert list(downloads.finish()) == ["bundle0"]

    assert downloads.failures == []


def test_lost_bundle_of_a_failed_batch_task(
    services: Services, run: Run, outputs: ContainerClient, tmp_path: Path
) -> None:
    """A bundle that failed and left nothing has failed for all of its inputs."""
    put(outputs, "bundle1_OUTPUT.tar", b"of another batch task")

    with Downloads(a_context(services, run, folder=tmp_path)) as downloads:
        downloads.begin(BUNDLE, replace(BAD, batch_task_id="bundle0"))
        assert downloads.finish() == {}

    assert [failure.inputs for failure in downloads.failures] == [("a.txt", "b.txt")]
    assert list(tmp_path.iterdir()) == []

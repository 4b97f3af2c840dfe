"""Uploads: in parallel, only what is not there, and nothing stale is left behind."""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pytest

from flows.top_words import top_words
from flows.word_count import program
from flows.word_count.settings import CountSettings
from flows.word_count.workload import WordCount
from prefect_azure_batch.errors import BatchTasksFailed
from prefect_azure_batch.model.run import Run, new_run
from prefect_azure_batch.ownership.deletion import KindsToDelete, delete_leftovers
from prefect_azure_batch.running.job import create_job
from prefect_azure_batch.running.pool import create_pool
from prefect_azure_batch.running.submission import add_batch_tasks
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import RunContext, WorkContext
from prefect_azure_batch.settings import CleanUpPolicy, PoolSettings
from prefect_azure_batch.staging.containers import create_containers, upload_files
from prefect_azure_batch.staging.local_inputs import find_inputs
from tests.support.contexts import POOL, a_context
from tests.support.pipeline.programs import COUNT, in_its_place

pytestmark = pytest.mark.usefixtures("prefect_harness", "nothing_left")

JOB = CountSettings()
LOG = "logs/topNtask0/stderr.txt"


@pytest.fixture
def run(services: Services) -> Iterator[Run]:
    """A run with its containers; what it has at the end is deleted."""
    run = new_run(uuid4(), 1, JOB, CleanUpPolicy())
    create_containers(RunContext.of(services, run))
    yield run
    delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty texts."""
    for number in range(20):
        (tmp_path / f"{number:02}.txt").write_text(f"text {number}")
    return tmp_path


def counting(services: Services, run: Run, folder: Path, job: CountSettings = JOB) -> WorkContext:
    """Return the context of a run that counts one word of each text of a folder."""
    workload = WordCount(1, job)
    inputs = find_inputs(workload, [str(folder)])
    levels = workload.plan(run, inputs, POOL)
    return a_context(services, run, workload=workload, job=job, inputs=inputs, levels=levels)


def upload(services: Services, run: Run, folder: Path, job: CountSettings = JOB) -> None:
    """Upload all texts of a folder as a run does."""
    upload_files(counting(services, run, folder, job))


def versions(services: Services, container: str) -> dict[str, datetime]:
    """Return when each blob of a container was written last."""
    blobs = services.blobs.get_container_client(container).list_blobs()
    return {str(blob.name): blob.last_modified for blob in blobs}


def leave_outputs(services: Services, run: Run, *names: str) -> None:
    """Write outputs as batch tasks would."""
    for name in names:
        services.blobs.get_blob_client(run.output_container, name).upload_blob(b"x")


@pytest.mark.parametrize("packing", [1, 10])
def test_everything_is_there_with_its_digest(
    services: Services, run: Run, folder: Path, packing: int
) -> None:
    """Every blob has its MD5, by which it is known the next time."""
    upload(services, run, folder, CountSettings(files_per_batch_task=packing))

    found = {
        str(blob.name): bytes(blob.content_settings.content_md5 or b"")
        for blob in services.blobs.get_container_client(run.input_container).list_blobs()
    }
    bundles = {f"bundles/bundle{number}.{kind}" for number in (0, 1) for kind in ("jsonl", "tar")}
    texts = {path.name for path in folder.iterdir()}
    assert found.keys() == (texts if packing == 1 else bundles)
    for name, digest in found.items():
        content = services.blobs.get_blob_client(run.input_container, name).download_blob()
        assert hashlib.md5(content.readall(), usedforsecurity=False).digest() == digest


@pytest.mark.parametrize("packing", [1, 10])
def test_unchanged_is_not_uploaded_again(
    services: Services, run: Run, folder: Path, packing: int
) -> None:
    """A second upload writes no blob, of files or of archives."""
    job = CountSettings(files_per_batch_task=packing)
    upload(services, run, folder, job)
    containers = (run.application_container, run.input_container)
    before = [versions(services, name) for name in containers]
    for blob in before[1]:
        properties = services.blobs.get_blob_client(run.input_container, blob)
        properties.set_blob_metadata({"mark": "kept"})

    upload(services, run, folder, job)

    marks = [
        (blob.metadata or {}).get("mark")
        for blob in services.blobs.get_container_client(run.input_container).list_blobs(
            include=["metadata"]
        )
    ]
    assert marks == ["kept"] * len(before[1])
    assert versions(services, run.application_container) == before[0]


def test_changed_input_takes_its_output_with_it(services: Services, run: Run, folder: Path) -> None:
    """Only what was made of the old content is deleted; the rest needs no new batch task."""
    upload(services, run, folder)
    leave_outputs(services, run, "00_OUTPUT.txt", "01_OUTPUT.txt", LOG)
    (folder / "00.txt").write_text("other words")

    upload(services, run, folder)

    assert set(versions(services, run.output_container)) == {"01_OUTPUT.txt", LOG}
    content = services.blobs.get_blob_client(run.input_container, "00.txt").download_blob()
    assert content.readall() == b"other words"


def test_other_settings_take_all_outputs(services: Services, run: Run, folder: Path) -> None:
    """With another recipe no output holds; the logs of what failed stay."""
    upload(services, run, folder)
    leave_outputs(services, run, "00_OUTPUT.txt", "01_OUTPUT.txt", LOG)

    upload(services, run, folder, CountSettings(total=True))

    assert set(versions(services, run.output_container)) == {LOG}


def test_the_same_again_keeps_outputs(services: Services, run: Run, folder: Path) -> None:
    """A resumed run with the same settings and inputs keeps what it has."""
    upload(services, run, folder)
    leave_outputs(services, run, "00_OUTPUT.txt")

    upload(services, run, folder)

    assert set(versions(services, run.output_container)) == {"00_OUTPUT.txt"}


def test_batch_tasks_on_old_content_are_withdrawn(
    services: Services, run: Run, folder: Path
) -> None:
    """What is about to write an output from old content is deleted from the job."""
    job = CountSettings(delay_s=600)
    context = counting(services, run, folder, job)
    upload_files(context)
    create_pool(context)
    create_job(context)
    add_batch_tasks(context, context.levels[0][:3])
    (folder / "01.txt").write_text("other words")

    upload(services, run, folder, job)

    left = {str(task.id) for task in services.batch.list_tasks(run.job_id)}
    assert left == {"topNtask0", "topNtask2"}


def test_accelerators_go_with_the_program(
    services: Services,
    run: Run,
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Modules of the word counter, and libraries beside it, are uploaded in one archive."""
    programs = tmp_path_factory.mktemp("programs")
    names = ["top_words.py", "word_counter/main.py"]
    names += ["top_words-x86_64.so", "top_words-aarch64.so"]
    (programs / "word_counter").mkdir()
    for name in (*names, "other.so"):
        (programs / name).write_text("")
    monkeypatch.setattr(program, "PROGRAMS", programs)

    upload(services, run, folder)

    assert set(versions(services, run.application_container)) == {"top_words.tar", "recipe.json"}
    blob = services.blobs.get_blob_client(run.application_container, "top_words.tar")
    content = io.BytesIO(blob.download_blob().readall())
    with tarfile.open(fileobj=content) as archive:
        assert archive.getnames() == names


def test_resumed_run_counts_changed_inputs_again(services: Services, tmp_path: Path) -> None:
    """A run that is continued after an input changed has the words of the new content."""
    fixed = tmp_path / "fixed"
    failing = tmp_path / "program.py"
    failing.write_text(
        f"{COUNT}import pathlib\n"
        f"if 'bad' in sys.argv[1] and not pathlib.Path({str(fixed)!r}).exists(): sys.exit(1)\n"
        "sys.exit(count())\n"
    )
    pool = PoolSettings(start_task_command=in_its_place(failing))
    job = CountSettings(poll_interval_s=0.3, max_task_retry_count=0)
    texts = [tmp_path / f"{name}.txt" for name in ("bad", "changed", "same")]
    for text in texts:
        text.write_text("old old words")
    with pytest.raises(BatchTasksFailed, match=r"bad\.txt"):
        top_words([str(text) for text in texts], 1, pool=pool, job=job)
    container = next(iter(services.blobs.list_containers(name_starts_with="tw-")))
    texts[1].write_text("new new words")
    fixed.touch()

    run_name = str(container.name).rpartition("-")[0]
    resumed = top_words([str(text) for text in texts], 1, pool=pool, job=job, resume=run_name)

    assert [counts[0] for counts in resumed.words.values()] == [("old", 2), ("new", 2), ("old", 2)]

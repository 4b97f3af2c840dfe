"""What is uploaded, and archives whose bytes depend on nothing but their members."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from uuid import UUID

import pytest

from flows.word_count.packing import plan_batch_tasks
from prefect_azure_batch.errors import BadInput
from prefect_azure_batch.model.run import Run, new_run
from prefect_azure_batch.model.tasks import BlobPlace, InputFile
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings
from prefect_azure_batch.staging.archives import (
    MOST_IN_MEMORY,
    Upload,
    manifest,
    md5_of,
    opened,
    readable_size,
    uploads_of,
)
from prefect_azure_batch.staging.local_inputs import find_inputs

PROGRAM = Path(__file__).resolve().parents[2] / "tasks_node" / "top_words.py"
PLACE = BlobPlace("inputs", "bundle0.tar")
NAMES = ["a.txt", "žluťoučký 😀.txt", "x" * 200, "-n.txt"]


@pytest.fixture
def run() -> Run:
    """A run."""
    return new_run(UUID(int=0xABC), 1, JobSettings(), CleanUpPolicy())


@pytest.fixture
def sources(tmp_path: Path) -> tuple[InputFile, ...]:
    """Files with awkward names."""
    for name in NAMES:
        (tmp_path / name).write_text(f"{name} twice twice")
    return tuple(find_inputs([str(tmp_path / name) for name in NAMES]))


def archive_of(*sources: InputFile) -> bytes:
    """Return the bytes of an archive."""
    with opened(Upload(PLACE, sources, 0)) as file:
        return file.read()


def test_members_are_the_inputs(sources: tuple[InputFile, ...]) -> None:
    """An archive holds each input under its name, with its content."""
    with tarfile.open(fileobj=io.BytesIO(archive_of(*sources)), mode="r:") as archive:
        found = {member.name: archive.extractfile(member) for member in archive}

    assert {name: file.read().decode() for name, file in found.items() if file} == {
        name: f"{name} twice twice" for name in NAMES
    }


def test_archives_do_not_depend_on_time(sources: tuple[InputFile, ...]) -> None:
    """The same files make the same bytes later, so that the blob is known to be the same."""
    before = archive_of(*sources)
    for source in sources:
        os.utime(str(source.path), (1, 1))

    assert archive_of(*sources) == before


def test_large_archives_are_not_held_in_memory(tmp_path: Path) -> None:
    """An archive beyond a limit goes to a file that is gone afterwards."""
    (tmp_path / "large.txt").write_bytes(b"word " * MOST_IN_MEMORY)
    source = InputFile("large.txt", 5 * MOST_IN_MEMORY, str(tmp_path / "large.txt"))

    with opened(Upload(PLACE, (source,), 0)) as file:
        assert os.fstat(file.fileno()).st_size > 5 * MOST_IN_MEMORY


def test_node_program_reads_bundles(sources: tuple[InputFile, ...], tmp_path: Path) -> None:
    """The node program finds every input of manifest and archive."""
    (tmp_path / "bundle0.tar").write_bytes(archive_of(*sources))
    (tmp_path / "bundle0.jsonl").write_bytes(manifest(NAMES))
    command = [sys.executable, str(PROGRAM), "--manifest", "bundle0.jsonl"]
    command += ["--bundle", "bundle0.tar", "--numwords", "1"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert [(tmp_path / source.output_name).is_file() for source in sources] == [True] * 4


def test_vanished_file_is_a_bad_input(tmp_path: Path) -> None:
    """A file that is gone by the time of the upload is an error that names the blob."""
    gone = InputFile("gone.txt", 4, str(tmp_path / "gone.txt"))

    with pytest.raises(BadInput, match=r"bundle0\.tar.*gone\.txt"):
        archive_of(gone)


def test_digest_leaves_the_file_at_its_beginning(tmp_path: Path) -> None:
    """What was hashed is read again from its beginning."""
    (tmp_path / "a.txt").write_text("text")
    with opened(Upload(PLACE, tmp_path / "a.txt", 4)) as file:
        assert md5_of(file).hex() == "1cb251ec0d568de6a929b520c4aed8d1"
        assert file.read() == b"text"


def test_bundled_inputs_are_not_uploaded_alone(run: Run, sources: tuple[InputFile, ...]) -> None:
    """Each input goes up once: in its archive, or alone; the node program is first."""
    planned = plan_batch_tasks(run, sources, 1, JobSettings(files_per_batch_task=3))

    uploads = uploads_of(run, [PROGRAM], sources, planned)

    assert [(item.place.container, item.place.name) for item in uploads] == [
        (run.application_container, "top_words.py"),
        (run.input_container, "bundles/bundle0.jsonl"),
        (run.input_container, "bundles/bundle0.tar"),
        (run.input_container, "-n.txt"),
    ]


def test_blobs_are_not_uploaded(run: Run) -> None:
    """What is in Blob Storage already stays where it is."""
    source = InputFile("a.txt", 4, blob=BlobPlace("texts", "a.txt"))
    planned = plan_batch_tasks(run, [source], 1, JobSettings())

    assert uploads_of(run, [], [source], planned) == []


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2 * 10**9, "2.0 GB")],
)
def test_readable_size(num_bytes: int, text: str) -> None:
    """Sizes are told in the largest unit that they fill."""
    assert readable_size(num_bytes) == text

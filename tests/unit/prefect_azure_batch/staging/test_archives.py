"""What is uploaded, and archives whose bytes depend on nothing but their members."""

import io
import os
import tarfile
from pathlib import Path
from uuid import UUID

import pytest

from prefect_azure_batch.errors import BadInput, ConfigurationError
from prefect_azure_batch.model.run import new_run
from prefect_azure_batch.model.tasks import BlobPlace, InputFile, Upload
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings
from prefect_azure_batch.staging import archives
from prefect_azure_batch.staging.archives import (
    MOST_IN_MEMORY,
    md5_of,
    opened,
    readable_size,
    uploads_of,
)
from prefect_azure_batch.staging.local_inputs import find_inputs
from prefect_azure_batch.workloads.python_program import PythonProgram
from tests.support.full_disk import full_disk

RUN = new_run(UUID(int=0xABC), 1, JobSettings(), CleanUpPolicy())
PLACE = BlobPlace("inputs", "bundle0.tar")
NAMES = ["a.txt", "žluťoučký 😀.txt", "x" * 200, "-n.txt"]


@pytest.fixture
def sources(tmp_path: Path) -> tuple[InputFile, ...]:
    """Files with awkward names."""
    for name in NAMES:
        (tmp_path / name).write_text(f"{name} twice twice")
    return tuple(find_inputs(PythonProgram("program.py"), [str(tmp_path / name) for name in NAMES]))


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


def test_what_every_node_gets_is_uploaded_first(tmp_path: Path) -> None:
    """Then come the inputs of this machine; those in Blob Storage are there already."""
    (tmp_path / "program.py").write_text("pass")
    workload = PythonProgram(str(tmp_path / "program.py"))
    blob = InputFile("b.txt", 4, blob=BlobPlace("texts", "b.txt"))
    inputs = [InputFile("a.txt", 5, str(tmp_path / "a.txt")), blob]

    uploads = uploads_of(RUN, workload, inputs, workload.plan(RUN, inputs, PoolSettings()))

    assert uploads == [
        Upload(BlobPlace(RUN.application_container, "program.py"), tmp_path / "program.py", 4),
        Upload(BlobPlace(RUN.input_container, "a.txt"), tmp_path / "a.txt", 5),
    ]


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2 * 10**9, "2.0 GB")],
)
def test_readable_size(num_bytes: int, text: str) -> None:
    """A size is in the largest unit that it fills."""
    assert readable_size(num_bytes) == text


def test_full_disk_names_the_temporary_folder(
    sources: tuple[InputFile, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive that has no room is an error that says where, and which variable moves it."""
    monkeypatch.setattr(archives, "MOST_IN_MEMORY", 1)
    with full_disk(), pytest.raises(ConfigurationError, match=r"no room in '.*TMPDIR"):
        archive_of(*sources)

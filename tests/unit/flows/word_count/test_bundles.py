"""Bundles: what goes up in archives; what comes back, and archives that are damaged."""

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest

from flows.word_count.bundles import manifest, unpack, uploads_of
from flows.word_count.packing import plan_batch_tasks
from flows.word_count.settings import CountSettings
from flows.word_count.workload import WordCount
from prefect_azure_batch.errors import OutputDamaged
from prefect_azure_batch.model.names import output_name_of
from prefect_azure_batch.model.result import ExitRecord
from prefect_azure_batch.model.run import new_run
from prefect_azure_batch.model.tasks import BlobPlace, InputFile, Upload
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings
from prefect_azure_batch.staging import archives
from prefect_azure_batch.staging.local_inputs import find_inputs
from tests.support.full_disk import full_disk
from tests.support.node_program import run_program

RUN = new_run(UUID(int=0xABC), 1, JobSettings(), CleanUpPolicy())
NAMES = ["a.txt", "žluťoučký 😀.txt", "x" * 200, "-n.txt"]
INPUTS = ("a.txt", "b.txt")


@pytest.fixture
def sources(tmp_path: Path) -> Sequence[InputFile]:
    """Files with awkward names."""
    for name in NAMES:
        (tmp_path / name).write_text(f"{name} twice twice")
    return find_inputs(WordCount(), [str(tmp_path / name) for name in NAMES])


def test_node_program_reads_bundles(sources: Sequence[InputFile], tmp_path: Path) -> None:
    """The node program finds every input of manifest and archive."""
    place = BlobPlace("inputs", "bundle0.tar")
    with archives.opened(Upload(place, tuple(sources), 0)) as file:
        (tmp_path / "bundle0.tar").write_bytes(file.read())
    names = [source.name for source in sources]
    (planned,) = plan_batch_tasks(RUN, sources, 1, CountSettings(files_per_batch_task=4))
    (tmp_path / "bundle0.jsonl").write_bytes(manifest(planned))
    arguments = ["--manifest", "bundle0.jsonl", "--bundle", "bundle0.tar", "--numwords", "1"]

    done = run_program(tmp_path, *arguments)

    assert done.returncode == 0, done.stderr
    assert [(tmp_path / output_name_of(name)).is_file() for name in names] == [True] * 4


def test_bundled_inputs_are_not_uploaded_alone(sources: Sequence[InputFile]) -> None:
    """Each input goes up once: in its archive, or alone; the node program is first."""
    settings = CountSettings(files_per_batch_task=3)
    level = plan_batch_tasks(RUN, sources, 1, settings)

    uploads = archives.uploads_of(RUN, WordCount(1, settings), sources, [level])

    assert [(item.place.container, item.place.name) for item in uploads] == [
        (RUN.application_container, "top_words.tar"),
        (RUN.input_container, "bundles/bundle0.jsonl"),
        (RUN.input_container, "bundles/bundle0.tar"),
        (RUN.input_container, "-n.txt"),
    ]


def test_blobs_are_not_uploaded() -> None:
    """What is in Blob Storage already stays where it is."""
    source = InputFile("a.txt", 4, blob=BlobPlace("texts", "a.txt"))

    assert uploads_of(RUN, [source], plan_batch_tasks(RUN, [source], 1, CountSettings())) == []


def record(name: str, exit_code: int = 0, reason: str = "") -> bytes:
    """Return an exit record as the node program writes it."""
    fields = {"filepath": name, "output": "", "exit_code": exit_code, "reason": reason}
    return json.dumps(fields).encode() + b"\n"


def archive(folder: Path, members: dict[str, bytes]) -> Path:
    """Write an archive as the node program does."""
    path = folder / "archive.tar"
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that outputs go to."""
    path = tmp_path / "out"
    path.mkdir()
    return path


def test_each_input_has_its_file(tmp_path: Path, folder: Path) -> None:
    """Outputs of good inputs are files, and every record is returned in the inputs' order."""
    exits = record("b.txt") + record("a.txt")
    path = archive(tmp_path, {"m_EXITS.jsonl": exits, "a_OUTPUT.txt": b"A", "b_OUTPUT.txt": b"B"})

    assert unpack(path, INPUTS, folder) == [ExitRecord("a.txt", 0, ""), ExitRecord("b.txt", 0, "")]
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {
        "a_OUTPUT.txt": b"A",
        "b_OUTPUT.txt": b"B",
    }


def test_failed_input(tmp_path: Path, folder: Path) -> None:
    """An input that failed has its exit code, and leaves no file of an earlier run."""
    (folder / "a_OUTPUT.txt").write_text("old")
    exits = record("a.txt", 3, "binary, see ?sig=SECRET") + record("b.txt")
    path = archive(tmp_path, {"m_EXITS.jsonl": exits, "b_OUTPUT.txt": b"B"})

    failed, good = unpack(path, INPUTS, folder)

    assert (failed.exit_code, good.exit_code) == (3, 0)
    assert "SECRET" not in failed.reason
    assert [file.name for file in folder.iterdir()] == ["b_OUTPUT.txt"]


def test_full_disk_names_the_output(tmp_path: Path, folder: Path) -> None:
    """Of what a full disk does not take, the name is reported; nothing of it stays."""
    path = archive(tmp_path, {"a_OUTPUT.txt": b"one\t1\n", "x_EXITS.jsonl": record("a.txt")})

    with full_disk(), pytest.raises(OSError, match=r"a_OUTPUT\.txt"):
        unpack(path, ("a.txt",), folder)

    assert [file for file in folder.rglob("*") if file.is_file()] == []


def test_members_of_other_names_are_left(tmp_path: Path, folder: Path) -> None:
    """Nothing is written but the outputs expected: no other names, no links, nothing outside."""
    exits = record("a.txt")
    path = archive(
        tmp_path,
        {"m_EXITS.jsonl": exits, "a_OUTPUT.txt": b"A", "../evil": b"x", "other_OUTPUT.txt": b"x"},
    )

    unpack(path, ("a.txt",), folder)

    assert [file.name for file in folder.iterdir()] == ["a_OUTPUT.txt"]
    assert not (tmp_path / "evil").exists()


def test_link_instead_of_an_output(tmp_path: Path, folder: Path) -> None:
    """A link of an output's name is not an output."""
    path = tmp_path / "archive.tar"
    exits = record("a.txt")
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("m_EXITS.jsonl")
        member.size = len(exits)
        tar.addfile(member, io.BytesIO(exits))
        link = tarfile.TarInfo("a_OUTPUT.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)

    with pytest.raises(OutputDamaged, match=r"lacks 'a_OUTPUT\.txt'"):
        unpack(path, ("a.txt",), folder)


def sparse_archive(folder: Path, sparse_map: str) -> Path:
    """Write an archive in which one byte of a member stands for many."""
    path = folder / "archive.tar"
    member = tarfile.TarInfo("a_OUTPUT.txt")
    member.size = 1
    member.pax_headers = {"GNU.sparse.map": sparse_map, "GNU.sparse.size": str(64 * 1024**2)}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(member, io.BytesIO(b"x"))
    return path


@pytest.mark.parametrize(
    ("sparse_map", "reason"), [("0,1", "a sparse file"), ("0,x", "the archive is damaged")]
)
def test_sparse_members(tmp_path: Path, folder: Path, sparse_map: str, reason: str) -> None:
    """A member cannot write more than the archive holds, whatever it says of its holes."""
    with pytest.raises(OutputDamaged, match=reason):
        unpack(sparse_archive(tmp_path, sparse_map), ("a.txt",), folder)

    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"a_OUTPUT.txt": b"A"}, "no exit record of input 'a.txt'"),
        ({"m_EXITS.jsonl": record("a.txt")}, "lacks 'a_OUTPUT.txt'"),
        ({"m_EXITS.jsonl": b"[]\n"}, "is not an exit record"),
        ({"m_EXITS.jsonl": b"\xff\n"}, "is not an exit record"),
    ],
)
def test_incomplete_archives(
    tmp_path: Path, folder: Path, members: dict[str, bytes], reason: str
) -> None:
    """What is not there is named."""
    with pytest.raises(OutputDamaged, match=reason):
        unpack(archive(tmp_path, members), ("a.txt",), folder)


@pytest.mark.parametrize("size", [0, 10, 700, 3000])
def test_damaged_archives(tmp_path: Path, folder: Path, size: int) -> None:
    """An archive that is cut off anywhere is an error, and leaves no half of a file."""
    members = {"m_EXITS.jsonl": record("a.txt"), "a_OUTPUT.txt": b"A" * 3000}
    path = archive(tmp_path, members)
    path.write_bytes(path.read_bytes()[:size])

    with pytest.raises(OutputDamaged):
        unpack(path, ("a.txt",), folder)

    assert list(folder.iterdir()) == []

"""Finding inputs on this machine."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from flows.word_count.workload import WordCount
from prefect_azure_batch.errors import BadInput
from prefect_azure_batch.model.tasks import BlobPlace, InputFile, Inputs
from prefect_azure_batch.settings import Selection
from prefect_azure_batch.staging.local_inputs import Search, blob_prefix, find_inputs, path_below
from prefect_azure_batch.workloads.python_program import PythonProgram

# Takes texts only.
WORD_COUNT = WordCount()
# Takes any file.
OWN = PythonProgram("program.py")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with texts and other things, which is the working directory."""
    for name in ("b.txt", "a.txt", ".hidden.txt", "c[1].txt"):
        (tmp_path / name).write_text("text")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0")
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "deep" / "deeper" / "a.txt").write_text("text")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*patterns: str) -> list[str]:
    """Return the names under which the inputs are counted."""
    return [source.name for source in find_inputs(WORD_COUNT, patterns)]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a.txt", ["a.txt"]),
        (".", ["a.txt", "b.txt", "c[1].txt"]),
        ("*.txt", ["a.txt", "b.txt", "c[1].txt"]),
        ("c[1].txt", ["c[1].txt"]),
        (".hidden.txt", [".hidden.txt"]),
        ("**/a.txt", ["a.txt", "deep/deeper/a.txt"]),
    ],
)
def test_pattern(pattern: str, found: list[str]) -> None:
    """A name is a file first; a folder is its texts; a glob is what it matches, sorted."""
    assert names(pattern) == found


@pytest.mark.usefixtures("folder")
def test_each_file_once() -> None:
    """A file that several patterns name is counted once."""
    assert names("a.txt", "*.txt", "./a.txt") == ["a.txt", "b.txt", "c[1].txt"]


@pytest.mark.usefixtures("folder")
def test_order_is_that_given() -> None:
    """Inputs come in the order of the patterns, which the batch tasks' numbers follow."""
    assert names("b.txt", "a.txt") == ["b.txt", "a.txt"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("pattern", ["deep", "picture.png", "nothing", "*.md", ""])
def test_no_text(pattern: str) -> None:
    """A pattern without any text is an error that repeats it."""
    with pytest.raises(BadInput) as raised:
        find_inputs(WORD_COUNT, [pattern] if pattern else [])

    assert pattern in str(raised.value)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("patterns", "selection", "found"),
    [
        (["."], Selection(include=("a*", "b*")), ["a.txt", "b.txt"]),
        (["."], Selection(exclude=("a*",)), ["b.txt", "c[1].txt"]),
        (["**/*.txt"], Selection(include=("deep/*",)), ["deep/deeper/a.txt"]),
        (["**/*.txt"], Selection(include=("a.txt",), exclude=("deep/*",)), ["a.txt"]),
        (["a.txt"], Selection(exclude=("*",)), ["a.txt"]),
    ],
)
def test_selection(patterns: list[str], selection: Selection, found: list[str]) -> None:
    """Folders and globs are sifted by name or path; a file that is named outright is counted."""
    assert [source.name for source in find_inputs(WORD_COUNT, patterns, Search(selection))] == found


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("pattern", [".", "*.txt"])
def test_selection_that_leaves_nothing(pattern: str) -> None:
    """If no file is left, the error names the settings that left none."""
    with pytest.raises(BadInput, match=r"selection\.include"):
        find_inputs(WORD_COUNT, [pattern], Search(Selection(exclude=("*",))))


def test_compressed_text_is_text(tmp_path: Path) -> None:
    """Text in gzip is counted, and known to be compressed; something else in gzip is binary."""
    (tmp_path / "text.gz").write_bytes(gzip.compress(b"some text"))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.add(tmp_path / "text.gz", "text.gz")
    (tmp_path / "more.tar.gz").write_bytes(archive.getvalue())

    found = find_inputs(WORD_COUNT, [str(tmp_path)])

    assert [(source.name, source.is_gzip) for source in found] == [("text.gz", True)]


@pytest.mark.parametrize("content", [b"\x1f\x8b no gzip", b"PK\0\0"])
def test_binary_file_is_not_an_input(tmp_path: Path, content: bytes) -> None:
    """A file that is not text is refused if it is named."""
    (tmp_path / "file").write_bytes(content)

    with pytest.raises(BadInput, match="binary"):
        find_inputs(WORD_COUNT, [str(tmp_path / "file")])


@pytest.mark.parametrize(
    ("pattern", "place"),
    [
        ("az://texts/books/2019", BlobPlace("texts", "books/2019")),
        ("az://texts/", BlobPlace("texts", "")),
        ("az://texts", BlobPlace("texts", "")),
    ],
)
def test_blob_prefix(pattern: str, place: BlobPlace) -> None:
    """What stands behind the container is the beginning of the blobs' names."""
    assert blob_prefix(pattern) == place


def test_prefix_without_container() -> None:
    """A prefix that names no container is refused without asking anybody."""
    with pytest.raises(BadInput, match="az:///books"):
        find_inputs(WORD_COUNT, ["az:///books"])


@pytest.mark.parametrize(
    ("prefix", "name", "path"),
    [
        ("", "deep/a.txt", "deep/a.txt"),
        ("books/", "books/2019/a.txt", "2019/a.txt"),
        ("books", "books/2019/a.txt", "2019/a.txt"),
        ("books/20", "books/2019/a.txt", "2019/a.txt"),
        ("books/2019/a.txt", "books/2019/a.txt", "a.txt"),
    ],
)
def test_path_below(prefix: str, name: str, path: str) -> None:
    """A blob is called by its path below the folder that the prefix is in."""
    assert path_below(prefix, name) == path


def test_blob_and_file_of_one_name(folder: Path) -> None:
    """Files of this machine and blobs are named alike, and two of one name are refused."""
    blob = InputFile("a.txt", 4, blob=BlobPlace("texts", "deep/a.txt"))

    with pytest.raises(BadInput, match=r"az://texts/deep/a\.txt"):
        find_inputs(
            WORD_COUNT,
            ["az://texts/deep/", str(folder / "a.txt")],
            list_blobs=lambda _prefix, _search: Inputs([blob]),
        )


def test_reserved_names_are_avoided(folder: Path) -> None:
    """A name that the workload needs itself gets a number."""
    (folder / "bundle0.tar").write_text("text")

    assert names("bundle0.tar") == ["bundle0-2.tar"]
    assert [source.name for source in find_inputs(OWN, ["bundle0.tar"])] == ["bundle0.tar"]


def test_files_of_any_kind(tmp_path: Path) -> None:
    """What a workload does not refuse may be binary, alone, in a folder and in a glob."""
    (tmp_path / "a.bin").write_bytes(b"\0")
    (tmp_path / "b.txt").touch()
    folder = str(tmp_path)
    patterns = [f"{folder}/a.bin", folder, f"{folder}/*"]

    found = [find_inputs(OWN, [pattern]) for pattern in patterns]

    assert [[item.name for item in items] for items in found] == [
        ["a.bin"],
        ["a.bin", "b.txt"],
        ["a.bin", "b.txt"],
    ]


def test_folder_without_files(tmp_path: Path) -> None:
    """A folder that holds nothing is refused for any workload."""
    with pytest.raises(BadInput, match="holds no file"):
        find_inputs(OWN, [str(tmp_path)])

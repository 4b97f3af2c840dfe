"""What inputs are called: by themselves and by what was given, never by other inputs."""

from pathlib import Path

import pytest

from flows.word_count.workload import WordCount
from prefect_azure_batch.errors import BadInput, ConfigurationError
from prefect_azure_batch.model.tasks import BlobPlace
from prefect_azure_batch.staging.input_names import Root
from prefect_azure_batch.staging.local_inputs import Search, find_inputs

WORD_COUNT = WordCount()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Texts in folders, two of one name; the working directory."""
    for name in ("x/a/data.txt", "x/b/data.txt", "x/b/c.d/e f.txt", "top.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*patterns: str, root: str | None = None) -> list[tuple[str, str]]:
    """Return what inputs are called, and where they are from."""
    found = find_inputs(WORD_COUNT, patterns, Search(root=Root(root)))
    return [(source.name, source.source) for source in found]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("x/a/data.txt", [("data.txt", "x/a/data.txt")]),
        ("x/a", [("data.txt", "x/a/data.txt")]),
        ("./x/a/", [("data.txt", "./x/a/data.txt")]),
        (
            "x/**/*.txt",
            [
                ("a/data.txt", "x/a/data.txt"),
                ("b/c.d/e f.txt", "x/b/c.d/e f.txt"),
                ("b/data.txt", "x/b/data.txt"),
            ],
        ),
        ("x/?/data.txt", [("a/data.txt", "x/a/data.txt"), ("b/data.txt", "x/b/data.txt")]),
        ("x/[b]*/c.d/*", [("b/c.d/e f.txt", "x/b/c.d/e f.txt")]),
        ("*/a/data.txt", [("x/a/data.txt", "x/a/data.txt")]),
        ("x/../top.*", [("top.txt", "x/../top.txt")]),
    ],
)
def test_names_keep_folders_below_what_was_given(
    pattern: str, found: list[tuple[str, str]]
) -> None:
    """A file is called by itself; of a glob the folders from its first wildcard on are kept."""
    assert names(pattern) == found


def test_names_do_not_depend_on_the_other_inputs() -> None:
    """With others beside it, before it or without them, an input has one name."""
    alone = names("x/b/*/*.txt")

    assert set(alone) < set(names("top.txt", "x/b/*/*.txt"))
    assert set(alone) < set(names("x/b/*/*.txt", "x/a"))


@pytest.mark.parametrize("patterns", [("x/a/data.txt", "x/b/data.txt"), ("x/a", "x/b")])
def test_two_of_one_name_are_refused(folder: Path, patterns: tuple[str, ...]) -> None:
    """The error names both, and a root that helps."""
    with pytest.raises(BadInput, match="--root") as raised:
        names(*patterns)

    assert "'x/a/data.txt' and 'x/b/data.txt'" in str(raised.value)
    assert f"--root {folder}/x " in str(raised.value)
    assert [name for name, _ in names(*patterns, root="x")] == ["a/data.txt", "b/data.txt"]


def test_one_input_with_two_names_is_refused() -> None:
    """It would have two outputs; with a root it has one, and is counted once."""
    with pytest.raises(BadInput, match=r"given in two ways.*--root"):
        names("x/a/data.txt", "**/data.txt")

    assert len(names("x/a/data.txt", "**/data.txt", root=".")) == 2


def test_root(folder: Path) -> None:
    """Names are relative to a root that was asked for, whatever was given, links seen through."""
    (folder / "link").symlink_to(folder / "x")

    assert names("top.txt", "x/a", root=".") == [
        ("top.txt", "top.txt"),
        ("x/a/data.txt", "x/a/data.txt"),
    ]
    assert names("x/a", root="link") == [("a/data.txt", "x/a/data.txt")]
    assert names("x/a", root="/")[0][0] == f"{folder}/x/a/data.txt"[1:]


def test_input_beside_the_root() -> None:
    """An input that is not below the root is named."""
    with pytest.raises(BadInput, match=r"'top\.txt' is not below the root 'x'"):
        names("top.txt", root="x")


@pytest.mark.parametrize("root", ["nowhere", "top.txt", "", "https://x/y", "AZ://x"])
def test_root_that_is_none(root: str) -> None:
    """A root is a folder that is there."""
    with pytest.raises(ConfigurationError, match=r"^root "):
        Root(root)


@pytest.mark.parametrize(
    ("root", "name"),
    [(None, "y/a.txt"), ("az://c", "x/y/a.txt"), ("az://c/x/", "y/a.txt"), (".", "y/a.txt")],
)
def test_root_of_blobs(root: str | None, name: str) -> None:
    """A root in Blob Storage is for blobs, and one of this machine for files."""
    assert Root(root).name_of_blob(BlobPlace("c", "x/y/a.txt"), "y/a.txt") == name


def test_blob_beside_the_root() -> None:
    """A blob of another container, or folder, is named."""
    with pytest.raises(BadInput, match="az://d/x"):
        Root("az://c").name_of_blob(BlobPlace("d", "x"), "x")


def test_names_that_are_not_utf_8(folder: Path) -> None:
    """Files of a folder whose names are not text are distinguished, and shown by their bytes."""
    strange = folder / "strange"
    strange.mkdir()
    for name in (b"M\xfcller.txt", b"M\xf6ller.txt", "m\ufffeller.txt".encode(), b"a\nb.txt"):
        (strange / Path(str(name, "utf-8", "surrogateescape"))).write_text("text")

    assert names("strange") == [
        ("M%F6ller.txt", r"strange/M\xf6ller.txt"),
        ("M%FCller.txt", r"strange/M\xfcller.txt"),
        ("a%0Ab.txt", "strange/a\nb.txt"),
        ("m%EF%BF%BEller.txt", "strange/m\ufffeller.txt"),
    ]
    assert names("strange/*") == names("strange")


def test_name_that_is_not_utf_8_is_refused_by_itself() -> None:
    """As a parameter it could not be sent; the error says what to do."""
    with pytest.raises(ConfigurationError, match=r"input 'M\\xfcller.txt' is not UTF-8: .* glob"):
        names("M\udcfcller.txt")

"""Long lists of inputs in files: written once, checked when they are read, and lists of users."""

import hashlib
import io
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from prefect_azure_batch.errors import BadInput
from prefect_azure_batch.model.list_file import ListFile
from prefect_azure_batch.staging.list_files import (
    MOST_PARAMETER_BYTES,
    as_parameter,
    inputs_of,
    list_file,
    names_from,
    title_of,
)

NAMES = [f"folder/{number:05} ž.txt" for number in range(10_000)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_long_list_becomes_a_file(cache: Path) -> None:
    """The parameter says where it is, how many names it has, and what its content must be."""
    given = as_parameter(NAMES)

    assert isinstance(given, ListFile)
    content = Path(given.path).read_bytes()
    assert cache in Path(given.path).parents
    assert content.decode().split("\0") == [*NAMES, ""]
    assert (given.count, given.sha256) == (10_000, hashlib.sha256(content).hexdigest())
    assert inputs_of(given) == NAMES


def test_short_list_stays_as_it_is(cache: Path) -> None:
    """What can be read on a page is a parameter, and nothing is written."""
    assert as_parameter(["a.txt", "ž.txt"]) == ["a.txt", "ž.txt"]
    assert inputs_of(["a.txt"]) == ["a.txt"]
    assert not cache.exists()


@pytest.mark.parametrize(("num_bytes", "is_long"), [(-4, False), (-3, True)])
def test_the_limit(num_bytes: int, is_long: bool) -> None:  # noqa: FBT001 - a parameter
    """It is the JSON that counts, which has brackets and quotes around one name."""
    name = "x" * (MOST_PARAMETER_BYTES + num_bytes)

    assert isinstance(as_parameter([name]), ListFile) == is_long


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    """No parameter can have such a name: even a short list of them is in a file."""
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\n.txt")

    given = as_parameter([name])

    assert isinstance(given, ListFile)
    assert inputs_of(given) == [name]


def test_equal_lists_are_one_file(cache: Path) -> None:
    """The same list is written once, however often it is given."""
    assert list_file(NAMES) == list_file(iter(NAMES))
    assert len(list(cache.rglob("*.list"))) == 1


def test_old_lists_are_deleted(cache: Path) -> None:
    """After half a year no run can need one any more; one that was read since stays."""
    old, read = list_file(["old"]), list_file(["read"])
    for given in (old, read):
        os.utime(given.path, (time.time() - 182 * 86400,) * 2)
    inputs_of(read)

    list_file(["new"])

    assert not Path(old.path).exists()
    assert len(list(cache.rglob("*.list"))) == 2


def _change(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"00001", b"00002"))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (Path.unlink, "cannot be read on this machine: No such file"),
        (_change, "has changed: it has 10,000 names and SHA-256 [0-9a-f]{64}, not"),
        (_cut, "has changed: it has 9,998 names"),
    ],
)
def test_list_that_is_gone_or_changed(harm: Callable[[Path], None], message: str) -> None:
    """Another list is never worked on: the error names the file, and says what to do."""
    given = list_file(NAMES)
    harm(Path(given.path))

    with pytest.raises(BadInput, match=message) as raised:
        inputs_of(given)

    assert given.path in str(raised.value)
    assert "give the inputs again" in str(raised.value)


def test_no_folder_takes_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a cache folder it is one for temporary files; without both an error names them."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert Path(list_file(["a"]).path).is_relative_to(
        tmp_path / f"prefect-azure-batch-{os.getuid()}"
    )

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    with pytest.raises(BadInput, match=r"file/.*: Not a directory; .*file/.*XDG_CACHE_HOME"):
        list_file(["a"])


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_what_no_file_can_be_called(name: str) -> None:
    """A name that cannot be one is an error, not another name."""
    with pytest.raises(BadInput, match="input "):
        list_file([name])


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"a.txt\nb c.txt\n", ["a.txt", "b c.txt"]),
        (b"a.txt\r\n\r\nb.txt", ["a.txt", "b.txt"]),
        (b"a\nb.txt\0c.txt\0", ["a\nb.txt", "c.txt"]),
        (b"\xef\xbb\xbfa.txt\n", ["a.txt"]),
        ("\ufeffž.txt\r\nb.txt\r\n".encode("utf-16-le"), ["ž.txt", "b.txt"]),
        (b"caf\xe9\n", ["caf\udce9"]),
        (b" a \n#b\n", [" a ", "#b"]),
    ],
)
def test_list_of_a_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, names: list[str]
) -> None:
    """Names are separated by NULs if there is one, else they are lines; from a file or a pipe."""
    (tmp_path / "list").write_bytes(content)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))

    assert names_from(str(tmp_path / "list")) == names
    assert names_from("-") == names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "list' cannot be read: No such file"),
        (b"", "list' is empty: one name a line"),
        (b"\n\r\n", "list' is empty"),
    ],
)
def test_list_of_a_user_that_names_nothing(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    """A list that is absent or empty is an error that names it."""
    if content is not None:
        (tmp_path / "list").write_bytes(content)

    with pytest.raises(BadInput, match=message):
        names_from(str(tmp_path / "list"))


def test_titles() -> None:
    """A flow run is called by its inputs, or by how many there are."""
    given = list_file(NAMES)

    assert title_of(["a", "b"]) == "a, b"
    assert title_of(given) == title_of(given.model_dump()) == "10,000 inputs"

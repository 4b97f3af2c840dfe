"""One run at a time in an output folder: threads, processes, and what a dead one has left."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from prefect_azure_batch.collecting.output_folder import (
    LOCK_NAME,
    check_not_in_use,
    check_output_dir,
    check_places,
    taken,
)
from prefect_azure_batch.errors import ConfigurationError, FolderInUse
from tests.support.paths import PROJECT

HOLDER = """
import sys
from pathlib import Path
from prefect_azure_batch.collecting.output_folder import taken
with taken(Path(sys.argv[1]), sys.argv[1], "tw-holder", print):
    print("taken", flush=True)
    sys.stdin.read()
"""


def unlocked(warning: str) -> None:
    """Fail: this machine's file systems have locks."""
    raise AssertionError(warning)


def take(folder: Path) -> None:
    """Have a folder for a moment."""
    with taken(folder, str(folder), "tw-1", unlocked):
        pass


@contextmanager
def held(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Have another process hold a folder meanwhile."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        env={"PYTHONPATH": str(PROJECT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "taken\n"
        yield process
        process.kill()


def test_another_process_is_refused(tmp_path: Path) -> None:
    """The error says which run has the folder, where and since when, and how to have one's own."""
    with held(tmp_path) as process, pytest.raises(FolderInUse) as raised:
        take(tmp_path)

    text = str(raised.value)
    assert str(tmp_path) in text
    assert re.search(
        rf"run tw-holder, process {process.pid} on \S+, since \d{{4}}-\d\d-\d\d ", text
    )
    assert f"--output-dir '{tmp_path}/{{run}}'" in text


def test_the_same_process_is_refused(tmp_path: Path) -> None:
    """Two flows of one process are two runs."""
    with taken(tmp_path, "x", "tw-1", unlocked), pytest.raises(FolderInUse, match="run tw-1, "):
        take(tmp_path)


@pytest.mark.parametrize("name", [".", "../{}/", "link"])
def test_other_names_of_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    """It is the folder that counts, not how it is called."""
    (tmp_path / "link").symlink_to(tmp_path)

    with held(tmp_path), pytest.raises(FolderInUse):
        take(tmp_path / name.format(tmp_path.name))


def test_the_lock_of_a_killed_process_is_gone(tmp_path: Path) -> None:
    """What is left of it locks nobody out, and is deleted by the next run."""
    with held(tmp_path) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        unpacking = tmp_path / ".unpacking-abc"
        unpacking.mkdir()
        (unpacking / "archive.tar").touch()
        assert (tmp_path / LOCK_NAME).exists()

        take(tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"run tw-old, \xff\x1b[31m", b"x" * 10_000])
def test_read_only_leftovers(tmp_path: Path, content: bytes) -> None:
    """An old lock file that cannot be written to is replaced, whatever is in it."""
    (tmp_path / LOCK_NAME).write_bytes(content)
    (tmp_path / LOCK_NAME).chmod(0o444)

    with taken(tmp_path, "x", "tw-1", unlocked), pytest.raises(FolderInUse, match="run tw-1, "):
        take(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_what_a_holder_writes_is_harmless(tmp_path: Path) -> None:
    """Anybody may have written the file: the error shows it short, without control characters."""
    with taken(tmp_path, "x", "tw-1", unlocked):
        (tmp_path / LOCK_NAME).write_bytes(b"\x1b[31m\n" + b"x" * 10_000)
        with pytest.raises(FolderInUse) as raised:
            take(tmp_path)

    assert "\x1b" not in str(raised.value)
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize(
    "make", [os.mkfifo, os.mkdir, lambda path: Path(path).symlink_to("/dev/zero")]
)
def test_something_else_has_the_name_of_the_lock(tmp_path: Path, make: object) -> None:
    """A pipe, a folder or a link there is an error that names it, and nothing waits for it."""
    assert callable(make)
    make(str(tmp_path / LOCK_NAME))

    with pytest.raises(ConfigurationError, match=re.escape(LOCK_NAME)):
        take(tmp_path)


def test_folders_are_made_and_empty_ones_deleted(tmp_path: Path) -> None:
    """A run that stops before it has written leaves nothing; one that has leaves that alone."""
    folder = tmp_path / "a" / "b"
    take(folder)
    assert list(tmp_path.iterdir()) == []

    with taken(folder, "x", "tw-1", unlocked):
        (folder / "output").touch()

    assert list(folder.iterdir()) == [folder / "output"]


def test_deleted_under_a_run(tmp_path: Path) -> None:
    """A user who deletes the folder of a live run does not make its end an error."""
    with taken(tmp_path / "x", "x", "tw-1", unlocked):
        (tmp_path / "x" / LOCK_NAME).unlink()
        (tmp_path / "x").rmdir()


def test_check_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a folder could be written to is found out without making it."""
    monkeypatch.chdir(tmp_path)

    check_output_dir("a/b")
    check_output_dir("a/{date}/{run}")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "file/out", "file/{run}", "/proc/{run}", "/proc/x/y"])
def test_folders_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A file in the way, or a file system that takes none, is an error that names the folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()

    with pytest.raises(ConfigurationError, match=r"output_dir '/.*' is not writable: \w+"):
        check_output_dir(name)


def test_check_sees_a_run(tmp_path: Path) -> None:
    """A run in the folder is seen; in one whose name is not known yet, none is looked for."""
    with held(tmp_path):
        check_not_in_use(f"{tmp_path}/{{run}}")
        with pytest.raises(FolderInUse, match="run tw-holder"):
            check_not_in_use(str(tmp_path))

    check_not_in_use(str(tmp_path))


@pytest.mark.parametrize(
    ("there", "names", "message"),
    [
        ("a/", ["b", "a"], "has a folder 'a'"),
        ("logs", ["logs/task0/stdout.txt"], "has a file 'logs'"),
        ("x/y", ["x/y/z/a"], "has a file 'x/y'"),
        ("x/y/", ["x/y/a"], None),
        ("a", ["a"], None),
    ],
)
def test_what_is_in_the_way(
    tmp_path: Path, there: str, names: list[str], message: str | None
) -> None:
    """A folder in the place of a file, or a file in that of a folder, is found; others may stay."""
    path = tmp_path / there
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if there.endswith("/") else path.touch()

    if message is None:
        check_places(tmp_path, names)
        return
    with pytest.raises(ConfigurationError, match=message):
        check_places(tmp_path, names)

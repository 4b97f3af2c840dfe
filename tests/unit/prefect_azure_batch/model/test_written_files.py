"""Whether the files of a run are still its own."""

import hashlib
import os
from pathlib import Path

import pytest

from prefect_azure_batch.model.written_files import WrittenFiles


@pytest.fixture
def noted(tmp_path: Path) -> tuple[WrittenFiles, Path]:
    """A file that a run has written."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"ours")
    written = WrittenFiles()
    written.add(path, path.stat(), hashlib.md5(b"ours").digest())  # noqa: S324 - as the service has it
    return written, path


def test_own_files_stay_own_ones(noted: tuple[WrittenFiles, Path], tmp_path: Path) -> None:
    """A file that was moved away and back, or touched, has the content that was written."""
    written, path = noted
    assert written.replaced() == []

    path.rename(tmp_path / "b")
    (tmp_path / "b").rename(path)
    os.utime(path, ns=(1, 1))

    assert written.replaced() == []


def test_other_content_is_seen(noted: tuple[WrittenFiles, Path]) -> None:
    """Content of the same length at the same time is another one, in a file of another number."""
    written, path = noted
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"else")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)

    assert written.replaced() == [str(path)]


def test_absent_file_is_seen(noted: tuple[WrittenFiles, Path]) -> None:
    """A file that somebody deleted is not there to be read."""
    written, path = noted
    path.unlink()

    assert written.replaced() == [str(path)]

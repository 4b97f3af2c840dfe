"""The sum over a manifest, and batch tasks that share a node."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from tests.unit.test_node_program import assert_refused, run_program
from tests.unit.test_node_program_manifest import ARGUMENTS, bundle, write_manifest
from tests.unit.test_node_program_upload import BlobService, service

__all__ = ["service"]

COUNTS = ("--counts", "sum.gz")


def counts_in(content: bytes) -> dict[str, int]:
    """Return the words of a counts file."""
    _, *lines = gzip.decompress(content).decode().splitlines()
    return {word: int(count) for word, count in (line.split("\t") for line in lines)}


@pytest.mark.parametrize("processes", ["1", "2", "9"])
def test_sum_of_a_manifest(tmp_path: Path, processes: str) -> None:
    """The counts of all inputs are added up, in however many processes they are counted."""
    for number in range(5):
        (tmp_path / f"{number}.txt").write_text(f"same word{number} same")
    write_manifest(tmp_path, *[{"filepath": f"{number}.txt"} for number in range(5)])

    done = run_program(tmp_path, *ARGUMENTS, *COUNTS, "--processes", processes)

    assert done.returncode == 0, done.stderr
    assert counts_in((tmp_path / "sum.gz").read_bytes()) == {
        "same": 10,
        **{f"word{number}": 1 for number in range(5)},
    }
    assert not list(tmp_path.glob(".top-words-*"))


def test_sum_leaves_out_what_cannot_be_counted(tmp_path: Path) -> None:
    """The sum is of those inputs that could be read, and the others fail as ever."""
    (tmp_path / "good").write_text("a b a")
    write_manifest(tmp_path, {"filepath": "absent"}, {"filepath": "good"})

    done = run_program(tmp_path, *ARGUMENTS, *COUNTS)

    assert_refused(done, 3, "1 of 2 inputs failed", "'absent'")
    assert counts_in((tmp_path / "sum.gz").read_bytes()) == {"a": 2, "b": 1}


def test_sum_of_a_bundle_is_uploaded_beside_its_archive(
    tmp_path: Path, service: BlobService
) -> None:
    """The sum is a blob of its own, there before the archive, and not in it."""
    bundle(tmp_path, {"a.txt": b"a b", "b.txt": b"b"})
    write_manifest(tmp_path, {"filepath": "a.txt"}, {"filepath": "b.txt"})

    done = run_program(
        tmp_path,
        *(*ARGUMENTS, *COUNTS, "--bundle", "b.tar"),
        environment={"TOP_WORDS_CONTAINER_URL": service.url()},
    )

    assert done.returncode == 0, done.stderr
    first, last = service.requests
    assert "/sum.gz?" in first.target
    assert counts_in(first.body) == {"a": 1, "b": 2}
    assert "/m_OUTPUT.tar?" in last.target
    with tarfile.open(fileobj=io.BytesIO(last.body)) as archive:
        assert "sum.gz" not in archive.getnames()


def test_sum_of_more_words_than_memory_may_hold(tmp_path: Path) -> None:
    """Words that do not fit into memory are added up on the disk, and nothing stays there."""
    for number in range(3):
        words = " ".join(f"w{number * 100_000 + word}" for word in range(300_000))
        (tmp_path / f"{number}.txt").write_text(words)
    write_manifest(tmp_path, *[{"filepath": f"{number}.txt"} for number in range(3)])

    done = run_program(tmp_path, *ARGUMENTS, *COUNTS, "--processes", "2")

    assert done.returncode == 0, done.stderr
    found = counts_in((tmp_path / "sum.gz").read_bytes())
    assert len(found) == 500_000
    assert sum(found.values()) == 900_000
    assert found["w250000"] == 3
    assert not list(tmp_path.glob(".top-words-*"))


def test_sum_must_not_overwrite_an_output(tmp_path: Path) -> None:
    """The name of the sum is none of the files of an input."""
    write_manifest(tmp_path, {"filepath": "a", "output": "sum.gz"})

    assert_refused(run_program(tmp_path, *ARGUMENTS, *COUNTS), 3, "'sum.gz' is written twice")


def test_slots_share_the_cores(tmp_path: Path) -> None:
    """Beside more batch tasks than there are cores, one process counts."""
    (tmp_path / "a").write_text("a")

    done = run_program(tmp_path, "--filepath", "a", "--numwords", "1", "--slots", "1000")

    assert done.returncode == 0, done.stderr
    assert b"at most 1 processes" in done.stdout


def test_processes_are_not_divided(tmp_path: Path) -> None:
    """Who says how many processes means it."""
    (tmp_path / "a").write_text("a")
    arguments = ("--filepath", "a", "--numwords", "1", "--slots", "4", "--processes", "3")

    assert b"at most 3 processes" in run_program(tmp_path, *arguments).stdout

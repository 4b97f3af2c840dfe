"""Many inputs in one run: outputs, exit records, and their sum."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.blob_servers import WritableContainer
from tests.support.counts_files import counts_in
from tests.support.manifests import ARGUMENTS, bundle, write_manifest
from tests.support.node_program import assert_refused, run_program, words_of

COUNTS = ("--counts", "sum.gz")


def records(folder: Path) -> list[dict[str, Any]]:
    """Return the exit records."""
    return [json.loads(line) for line in (folder / "m_EXITS.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("processes", ["1", "2", "9"])
def test_every_input_has_its_output_and_record(tmp_path: Path, processes: str) -> None:
    """Inputs are counted each for itself, whatever their number of processes."""
    for number in range(5):
        (tmp_path / f"{number}.txt").write_text(f"word{number} " * 3)
    write_manifest(tmp_path, *[{"filepath": f"{number}.txt"} for number in range(5)])

    done = run_program(tmp_path, *ARGUMENTS, "--processes", processes)

    assert done.returncode == 0, done.stderr
    for number, record in enumerate(records(tmp_path)):
        output = f"{number}_OUTPUT.txt"
        assert words_of(tmp_path / output) == [(f"word{number}", 3)]
        assert record == {
            "filepath": f"{number}.txt",
            "output": output,
            "exit_code": 0,
            "reason": "",
        }


def test_a_bad_input_does_not_stop_the_others(tmp_path: Path) -> None:
    """The others have outputs; the exit code and the reason are those of the first bad one."""
    (tmp_path / "binary").write_bytes(b"a\0b")
    (tmp_path / "good").write_text("a")
    write_manifest(tmp_path, *[{"filepath": name} for name in ("binary", "absent", "good")])

    done = run_program(tmp_path, *ARGUMENTS)

    assert_refused(done, 3, "2 of 3 inputs failed", "'binary'", "NUL byte")
    assert [record["exit_code"] for record in records(tmp_path)] == [3, 3, 0]
    assert "No such file" in records(tmp_path)[1]["reason"]
    assert words_of(tmp_path / "good_OUTPUT") == [("a", 1)]


def test_outputs_and_counts_may_be_named(tmp_path: Path) -> None:
    """A line names the files of its input, in any characters."""
    (tmp_path / "in\n$x").write_text("a")
    entry = {"filepath": "in\n$x", "output": "ä b.txt", "counts": "c.gz"}
    write_manifest(tmp_path, entry)

    done = run_program(tmp_path, *ARGUMENTS)

    assert done.returncode == 0, done.stderr
    assert words_of(tmp_path / "ä b.txt") == [("a", 1)]
    assert (tmp_path / "c.gz").is_file()


def test_outputs_are_uploaded_one_by_one_and_the_records_last(
    tmp_path: Path, service: WritableContainer
) -> None:
    """Without a bundle every output is a blob of its own."""
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    write_manifest(tmp_path, {"filepath": "a"}, {"filepath": "b"})

    done = run_program(tmp_path, *ARGUMENTS, environment={"TOP_WORDS_CONTAINER_URL": service.url()})

    assert done.returncode == 0, done.stderr
    names = [request.target.partition("?")[0].rpartition("/")[2] for request in service.requests]
    assert sorted(names[:2]) == ["a_OUTPUT", "b_OUTPUT"]
    assert names[2:] == ["m_EXITS.jsonl"]


@pytest.mark.parametrize("options", [(), ("--bundle", "b.tar")])
def test_outputs_may_have_folders(
    tmp_path: Path, service: WritableContainer, options: tuple[str, ...]
) -> None:
    """Outputs of one base name go to folders of their own, as blobs and in an archive."""
    members = {f"{name}/data.txt": name.encode() for name in ("a", "b")}
    bundle(tmp_path, members)
    for name, content in members.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(content)
    outputs = ["o/a/data_OUTPUT.txt", "o/b/data_OUTPUT.txt"]
    entries = [{"filepath": a, "output": b} for a, b in zip(members, outputs, strict=True)]
    write_manifest(tmp_path, *entries)
    environment = {"TOP_WORDS_CONTAINER_URL": service.url()}

    done = run_program(tmp_path, *ARGUMENTS, *options, environment=environment)

    assert done.returncode == 0, done.stderr
    *_, last = service.requests
    if options:
        with tarfile.open(fileobj=io.BytesIO(last.body)) as archive:
            assert archive.getnames() == ["m_EXITS.jsonl", *outputs]
    else:
        found = sorted(item.target.partition("?")[0] for item in service.requests[:2])
        assert found == [f"/account/output/{name}" for name in outputs]


def test_a_bundle_gives_the_inputs_and_takes_the_results(
    tmp_path: Path, service: WritableContainer
) -> None:
    """Inputs come out of one archive, and one archive of all results is uploaded."""
    bundle(tmp_path, {"x/a.txt": b"a b a", "bad": b"\0"})
    write_manifest(tmp_path, {"filepath": "x/a.txt", "counts": "a.gz"}, {"filepath": "bad"})

    done = run_program(
        tmp_path,
        *(*ARGUMENTS, "--bundle", "b.tar"),
        environment={"TOP_WORDS_CONTAINER_URL": service.url()},
    )

    assert_refused(done, 3, "1 of 2 inputs failed", "'bad'")
    [request] = service.requests
    assert request.target.startswith("/account/output/m_OUTPUT.tar?")
    with tarfile.open(fileobj=io.BytesIO(request.body)) as archive:
        assert archive.getnames() == ["m_EXITS.jsonl", "a.gz", "a_OUTPUT.txt"]
    assert words_of(tmp_path / "a_OUTPUT.txt") == [("a", 2), ("b", 1)]
    assert not (tmp_path / "x").exists()


def test_a_sparse_member_of_a_bundle(tmp_path: Path) -> None:
    """A byte of the archive that stands for gigabytes of an input is not read."""
    member = tarfile.TarInfo("a.txt")
    member.size = 1
    member.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(8 * 1024**3)}
    with tarfile.open(tmp_path / "b.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member, io.BytesIO(b"a"))
    write_manifest(tmp_path, {"filepath": "a.txt"})

    done = run_program(tmp_path, *ARGUMENTS, "--bundle", "b.tar")

    assert_refused(done, 3, "input 'a.txt': no such file in the bundle")


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
    tmp_path: Path, service: WritableContainer
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

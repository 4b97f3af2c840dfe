"""Many inputs in one run of the node program: manifests and bundles."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_node_program import assert_refused, run_program, words_of
from tests.unit.test_node_program_upload import BlobService, service

__all__ = ["service"]

ARGUMENTS = ("--manifest", "m.jsonl", "--numwords", "9")


def write_manifest(folder: Path, *entries: dict[str, Any]) -> None:
    """Write a manifest as the contract says."""
    (folder / "m.jsonl").write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))


def records(folder: Path) -> list[dict[str, Any]]:
    """Return the exit records."""
    return [json.loads(line) for line in (folder / "m_EXITS.jsonl").read_text().splitlines()]


def bundle(folder: Path, members: dict[str, bytes]) -> None:
    """Write an archive."""
    with tarfile.open(folder / "b.tar", "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


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
    tmp_path: Path, service: BlobService
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


def test_a_bundle_gives_the_inputs_and_takes_the_results(
    tmp_path: Path, service: BlobService
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


@pytest.mark.parametrize("name", ["absent", "../outside", "folder", "link"])
def test_only_files_of_the_bundle_are_read(tmp_path: Path, name: str) -> None:
    """What is no file in the archive is refused, even if there is one on the disk."""
    (tmp_path / "absent").write_text("a")
    bundle(tmp_path, {"file": b"a"})
    with tarfile.open(tmp_path / "b.tar", "a") as archive:
        for other, kind in (("folder", tarfile.DIRTYPE), ("link", tarfile.SYMTYPE)):
            member = tarfile.TarInfo(other)
            member.type = kind
            member.linkname = "absent"
            archive.addfile(member)
    write_manifest(tmp_path, {"filepath": name, "output": "out"})

    done = run_program(tmp_path, *ARGUMENTS, "--bundle", "b.tar")

    assert_refused(done, 3, "no such file in the bundle")


@pytest.mark.parametrize("content", [b"text", b"\x1f\x8b\x08\x00"])
def test_a_bundle_that_is_no_archive_exits_3(tmp_path: Path, content: bytes) -> None:
    """Only a plain tar archive is a bundle."""
    (tmp_path / "b.tar").write_bytes(content)
    write_manifest(tmp_path, {"filepath": "a"})

    assert_refused(run_program(tmp_path, *ARGUMENTS, "--bundle", "b.tar"), 3, "'b.tar'")


@pytest.mark.parametrize(
    "line", ["text", "[]", "{}", '{"filepath": 1}', '{"filepath": "a", "more": "b"}', "", "\xff"]
)
def test_a_wrong_line_exits_3(tmp_path: Path, line: str) -> None:
    """A line that is no input is named by its number, before any work is done."""
    good = '{"filepath": "m.jsonl"}'
    (tmp_path / "m.jsonl").write_text(f"{good}\n{line}\n", encoding="latin-1")

    assert_refused(run_program(tmp_path, *ARGUMENTS), 3, "'m.jsonl'", "line 2")
    assert [path.name for path in tmp_path.iterdir()] == ["m.jsonl"]


def test_two_inputs_never_write_the_same_file(tmp_path: Path) -> None:
    """Outputs of one name would overwrite each other as blobs, so they are refused."""
    write_manifest(tmp_path, {"filepath": "x/a"}, {"filepath": "y/a"})

    assert_refused(run_program(tmp_path, *ARGUMENTS), 3, "'a_OUTPUT' is written twice")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--filepath", "-", "--bundle", "b.tar"),
        ("--manifest", "m.jsonl", "--output", "out"),
        ("--manifest", "m.jsonl", "--filepath", "-"),
        ("--manifest", "m.jsonl", "--processes", "0"),
    ],
)
def test_arguments_that_do_not_go_together_exit_2(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """What has no meaning beside a manifest, or without one, is a usage error."""
    assert_refused(run_program(tmp_path, *arguments, "--numwords", "1"), 2, "--")

"""Manifests and bundles, read."""

import tarfile
from pathlib import Path

import pytest

from tests.support.manifests import ARGUMENTS, bundle, write_manifest
from tests.support.node_program import assert_refused, run_program

COUNTS = ("--counts", "sum.gz")


@pytest.mark.parametrize("name", ["absent", "../outside", "folder", "link"])
def test_only_files_of_the_bundle_are_read(tmp_path: Path, name: str) -> None:
    """What is not a file in the archive is refused, even if there is one on the disk."""
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
    """A line without an input is named by its number, before any work is done."""
    good = '{"filepath": "m.jsonl"}'
    (tmp_path / "m.jsonl").write_text(f"{good}\n{line}\n", encoding="latin-1")

    assert_refused(run_program(tmp_path, *ARGUMENTS), 3, "'m.jsonl'", "line 2")
    assert [path.name for path in tmp_path.iterdir()] == ["m.jsonl"]


def test_two_inputs_never_write_the_same_file(tmp_path: Path) -> None:
    """Outputs of one name would overwrite each other as blobs, so they are refused."""
    write_manifest(tmp_path, {"filepath": "x/a"}, {"filepath": "y/a"})

    assert_refused(run_program(tmp_path, *ARGUMENTS), 3, "'a_OUTPUT' is written twice")


def test_sum_must_not_overwrite_an_output(tmp_path: Path) -> None:
    """The sum cannot have the name of a file of an input."""
    write_manifest(tmp_path, {"filepath": "a", "output": "sum.gz"})

    assert_refused(run_program(tmp_path, *ARGUMENTS, *COUNTS), 3, "'sum.gz' is written twice")

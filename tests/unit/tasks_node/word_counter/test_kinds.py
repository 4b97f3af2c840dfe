"""Files that are not text, known by their first bytes alone."""

import gzip
from pathlib import Path

import pytest

from tests.support.blob_servers import ReadableBlob
from tests.support.node_program import assert_refused, count, run_program

# None of them holds a NUL byte.
KINDS = [
    (b"(\xb5/\xfd\x04\x19abc", "a zstd file"),
    (b"BZh91AY&SYabc", "a bzip2 file"),
    (b"\x1f\x9d\x90abc", "a file of compress"),
    (b"%PDF-1.4\nwords\n", "a PDF"),
    ("中文".encode("utf-16"), "UTF-16"),
    ("中文".encode("utf-16-be").join([b"\xfe\xff", b""]), "UTF-16"),
]


@pytest.mark.parametrize(("content", "name"), KINDS)
@pytest.mark.parametrize("is_packed", [False, True])
def test_what_is_no_text_exits_3(
    tmp_path: Path, content: bytes, name: str, *, is_packed: bool
) -> None:
    """The error names what it is, in a file, a large one and in gzip."""
    assert b"\0" not in content
    for more in (b"", b" word" * 1_000_000):
        whole = content + more
        (tmp_path / "x").write_bytes(gzip.compress(whole, 1) if is_packed else whole)

        done = run_program(tmp_path, "--filepath", "x", "--numwords", "1")

        assert_refused(done, 3, "'x'", name)


@pytest.mark.parametrize("content", [content for content, _ in KINDS])
def test_what_is_no_text_is_refused_as_a_blob(
    tmp_path: Path, server: ReadableBlob, content: bytes
) -> None:
    """A range of it is refused as well."""
    server.content = content
    environment = {"TOP_WORDS_INPUT_URL": server.url}

    done = run_program(tmp_path, "--range", "1-", "--numwords", "1", environment=environment)

    assert done.returncode == 3


@pytest.mark.parametrize("text", ["BZh is short", "(µ", "%PDF is a format", "PK and more"])
def test_texts_that_begin_alike_are_counted(tmp_path: Path, text: str) -> None:
    """What only begins like one of them is a text."""
    assert count(tmp_path, text.encode())

"""Files that are not text: what they are is said, before anything is created."""

import bz2
import gzip
import io
import lzma
import sqlite3
import tarfile
import zipfile
from pathlib import Path

import pytest

from flows.word_count.kinds import why_no_text
from flows.word_count.settings import CountSettings
from flows.word_count.workload import WordCount
from prefect_azure_batch.errors import BadInput
from prefect_azure_batch.staging.local_inputs import find_inputs


def zipped(*names: str, first: str = "") -> bytes:
    """Return a zip archive with files of these names; `first` is the text of `mimetype`."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        if first:
            archive.writestr("mimetype", first, zipfile.ZIP_STORED)
        for name in names:
            archive.writestr(name, "some text " * 99)
    return file.getvalue()


def tarred(mode: str) -> bytes:
    """Return a tar archive."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        archive.addfile(tarfile.TarInfo("a.txt"))
    return file.getvalue()


def database(folder: Path) -> bytes:
    """Return a database."""
    with sqlite3.connect(folder / "x.db") as connection:
        connection.execute("create table t (x)")
    connection.close()
    return (folder / "x.db").read_bytes()


OFFICE = ("[Content_Types].xml", "_rels/.rels")
MADE = [
    (zipped("a.txt"), "a zip archive"),
    (zipped(), "a zip archive"),
    (zipped(*OFFICE, "word/document.xml"), "a Word document"),
    (zipped("word/document.xml", *OFFICE), "a Word document"),
    (zipped(*OFFICE, "xl/workbook.xml"), "an Excel workbook"),
    (zipped(*OFFICE, "ppt/slides/slide1.xml"), "a PowerPoint presentation"),
    (zipped("content.xml", first="application/vnd.oasis.opendocument.text"), "an OpenDocument"),
    (zipped("c.html", first="application/epub+zip"), "an EPUB book"),
    (bz2.compress(b"some text"), "a bzip2 file"),
    (bz2.compress(b""), "a bzip2 file"),
    (lzma.compress(b"some text"), "an xz file"),
    (lzma.compress(b"some text", lzma.FORMAT_ALONE), "an lzma file"),
    (tarred("w"), "a tar archive"),
    (tarred("w:gz"), "a tar archive in gzip"),
    (gzip.compress(lzma.compress(b"text")), "an xz file in gzip"),
    (b"(\xb5/\xfd\x04\x19abc", "a zstd file"),
    (b"\x04\x22\x4d\x18\x64\x40\xa7abc", "an lz4 file"),
    (b"7z\xbc\xaf'\x1c\x04abc", "a 7z archive"),
    (b"Rar!\x1a\x07\x01abc", "a rar archive"),
    (b"%PDF-1.4\n1 0 obj\n", "a PDF"),
    (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1abc", "an old Office document"),
    (b"PAR1\x15\x04\x15\x0cabc", "a Parquet file"),
    (b"ORC\x11\x00\x00", "an ORC file"),
    (b"Obj\x01\x04\x14avro.codec", "an Avro file"),
    (b"\x89PNG\r\n\x1a\nabc", "a PNG image"),
    (b"\xff\xd8\xff\xe0abc", "a JPEG image"),
    (b"GIF89a\x01\x02\xff", "a GIF image"),
    (b"RIFF\x24\x08\x00\x00WAVEfmt ", "a WAV sound"),
    (b"ID3\x03\x00abc", "an MP3 sound"),
    (b"\x00\x00\x00\x20ftypisom", "an MP4 or HEIF file"),
    (b"\x7fELF\x02\x01\x01", "a program"),
    (b"MZ\x90\x00\x03", "a program"),
    (b"\x80\x04\x95\x05", "a Python pickle"),
    (b"\x93NUMPY\x01", "a NumPy file"),
    (b"\x1f\x8b no gzip", "damaged gzip data"),
]


@pytest.mark.parametrize(
    ("head", "kind"), MADE, ids=[f"{number}-{kind}" for number, (_, kind) in enumerate(MADE)]
)
def test_kinds(head: bytes, kind: str) -> None:
    """The reason names the kind of file, and what to do with one."""
    reason = why_no_text(head, "utf-8")

    assert reason.startswith(f"is binary ({kind}")
    assert reason.partition("): ")[2]
    assert why_no_text(head, "cp1252").startswith(f"is binary ({kind}")


def test_a_database_is_a_kind(tmp_path: Path) -> None:
    """One of SQLite's own is known."""
    assert "an SQLite database" in why_no_text(database(tmp_path), "utf-8")


@pytest.mark.parametrize("order", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", ["中文", "text"])
def test_wide_text_by_its_mark(order: str, text: str) -> None:
    """A byte order mark is enough, in gzip as well; the reason says what to set, and that helps."""
    head = f"\ufeff{text}".encode(order)
    name = order[:6]

    for given in (head, gzip.compress(head)):
        assert f"--encoding {name}" in why_no_text(given, "utf-8")
        assert why_no_text(given, name) == ""


@pytest.mark.parametrize("order", ["le", "be"])
def test_wide_text_without_a_mark(order: str) -> None:
    """It needs the encoding that says the order of its bytes."""
    head = "text".encode(f"utf-16-{order}")

    assert "utf-16-le" in why_no_text(head, "utf-8")
    assert "has no byte order mark" in why_no_text(head, "utf-16")
    assert why_no_text(head, f"utf-16-{order}") == ""
    assert "NUL" in why_no_text("wi\0de".encode(f"utf-16-{order}"), f"utf-16-{order}")


@pytest.mark.parametrize(
    "text",
    [
        *("", "PAR1 is a format", "ORC armies", "BM, a firm", "MZ\n", "ID3 tags", "GIF89a is old"),
        *("07070 is a zip code", "BZh9 is short", "OTTO I.", "PK and more", "RIFF, WAVE", "LZIP"),
        *("ÿþ by a mistake", "{\\rtf1 text}", "%!PS", "<html>", "\x1b[31mred\x1b[0m", "7z"),
    ],
)
def test_texts_that_begin_alike(text: str) -> None:
    """What only begins like a binary format, or is one in letters, is text."""
    assert why_no_text(text.encode(), "utf-8") == ""
    assert why_no_text(gzip.compress(text.encode()), "utf-8") == ""


@pytest.mark.parametrize("encoding", ["cp1252", "shift_jis", "cp500", "koi8-r"])
def test_text_in_another_encoding(encoding: str) -> None:
    """It is text, whether it begins like a byte order mark or not, and whether it is named."""
    assert why_no_text("some text".encode(encoding), encoding) == ""
    assert why_no_text(b"\xff\xfe\xfd", encoding) == ""


@pytest.mark.parametrize("size", [8_192, 100_000, 1_000_000])
def test_a_nul_byte_after_much_text(tmp_path: Path, size: int) -> None:
    """A mebibyte of each file is looked at."""
    (tmp_path / "late.txt").write_bytes((b"text " * size)[:size] + b"\0")

    with pytest.raises(BadInput, match=r"late\.txt' is binary \(it holds NUL bytes\)"):
        find_inputs(WordCount(), [str(tmp_path / "late.txt")])


def test_the_encoding_of_the_settings_is_used(tmp_path: Path) -> None:
    """A file in the encoding that was named is an input."""
    (tmp_path / "wide.txt").write_bytes("text".encode("utf-16"))
    wide = WordCount(settings=CountSettings(encoding="UTF16"))

    assert [source.name for source in find_inputs(wide, [str(tmp_path)])] == ["wide.txt"]
    with pytest.raises(BadInput, match="is UTF-16 text, by its byte order mark"):
        find_inputs(WordCount(), [str(tmp_path / "wide.txt")])

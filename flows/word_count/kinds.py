"""Kinds of files that are not text: known by their first bytes, and named in errors."""

import codecs
import re
import zlib
from dataclasses import dataclass

from flows.word_count.encodings import UTF_8, is_wide
from prefect_azure_batch import is_gzip

# Of a compressed file so much text is looked at: it takes half a millisecond.
MOST_DECOMPRESSED = 128 * 1024
DECOMPRESS = "decompress it, or compress it by gzip"
CONVERT = "convert it to text first"
GIVE = "give text, plain or in gzip"


@dataclass(frozen=True, slots=True)
class Kind:
    """Files of one format.

    Attributes:
        name: of the format, with its article.
        mark: the bytes that they have at `offset`.
        advice: what to do with one.
        offset: bytes before the mark.
        may_begin_text: whether a text could begin so too; then more must speak against it.
    """

    name: str
    mark: bytes
    advice: str = GIVE
    offset: int = 0
    may_begin_text: bool = False

    def fits(self, head: bytes) -> bool:
        """Tell whether a file that begins so has the mark."""
        return head.startswith(self.mark, self.offset)


KINDS = (
    Kind("a zstd file", b"(\xb5/\xfd", DECOMPRESS),
    *(Kind("a zstd file", b"%c*M\x18" % number, DECOMPRESS) for number in range(0x50, 0x60)),
    Kind("an xz file", b"\xfd7zXZ\0", DECOMPRESS),
    Kind("an lzma file", b"]\0\0", DECOMPRESS),
    *(Kind("a bzip2 file", b"BZh%d1AY&SY" % number, DECOMPRESS) for number in range(1, 10)),
    *(Kind("a bzip2 file", b"BZh%d\x17rE8P\x90" % number, DECOMPRESS) for number in range(1, 10)),
    Kind("an lz4 file", b'\x04"M\x18', DECOMPRESS),
    Kind("an lzip file", b"LZIP\x01", DECOMPRESS),
    Kind("an lzop file", b"\x89LZO\0", DECOMPRESS),
    Kind("a file of compress", b"\x1f\x9d", DECOMPRESS),
    Kind("a snappy file", b"\xff\x06\0\0sNaPpY", DECOMPRESS),
    Kind("a 7z archive", b"7z\xbc\xaf'\x1c", DECOMPRESS),
    Kind("a rar archive", b"Rar!\x1a\x07", DECOMPRESS),
    Kind("a cab archive", b"MSCF", DECOMPRESS, may_begin_text=True),
    Kind("a tar archive", b"ustar", "unpack it", offset=257),
    Kind("an ar archive", b"!<arch>\n", "unpack it"),
    Kind("a cpio archive", b"07070", "unpack it", may_begin_text=True),
    Kind("an rpm package", b"\xed\xab\xee\xdb"),
    Kind("a PDF", b"%PDF-", CONVERT),
    Kind("an old Office document (doc, xls, ppt)", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", CONVERT),
    Kind("a DjVu document", b"AT&TFORM", CONVERT),
    Kind("a Parquet file", b"PAR1", CONVERT, may_begin_text=True),
    Kind("an ORC file", b"ORC", CONVERT, may_begin_text=True),
    Kind("an Avro file", b"Obj\x01", CONVERT),
    Kind("an Arrow file", b"ARROW1", CONVERT, may_begin_text=True),
    Kind("a Feather file", b"FEA1", CONVERT, may_begin_text=True),
    Kind("an SQLite database", b"SQLite format 3\0", CONVERT),
    Kind("an Access database", b"\0\1\0\0Standard", CONVERT),
    Kind("an HDF5 file", b"\x89HDF\r\n\x1a\n", CONVERT),
    Kind("a NetCDF file", b"CDF\x01", CONVERT),
    Kind("a NumPy file", b"\x93NUMPY", CONVERT),
    Kind("a MATLAB file", b"MATLAB 5.0 MAT-file", CONVERT, may_begin_text=True),
    *(Kind("a Python pickle", b"\x80%c" % number, CONVERT) for number in range(2, 6)),
    Kind("a PNG image", b"\x89PNG"),
    Kind("a JPEG image", b"\xff\xd8\xff"),
    Kind("a GIF image", b"GIF8", may_begin_text=True),
    Kind("a TIFF image", b"II*\0"),
    Kind("a TIFF image", b"MM\0*"),
    Kind("a BMP image", b"BM", may_begin_text=True),
    Kind("an icon", b"\0\0\1\0"),
    Kind("a Photoshop image", b"8BPS", may_begin_text=True),
    Kind("a WebP image", b"WEBP", offset=8, may_begin_text=True),
    Kind("a WAV sound", b"WAVE", offset=8, may_begin_text=True),
    Kind("an AVI video", b"AVI ", offset=8, may_begin_text=True),
    Kind("an MP3 sound", b"ID3", may_begin_text=True),
    Kind("an MP3 sound", b"\xff\xfb", may_begin_text=True),
    Kind("an Ogg sound", b"OggS", may_begin_text=True),
    Kind("a FLAC sound", b"fLaC", may_begin_text=True),
    Kind("an MP4 or HEIF file", b"ftyp", offset=4, may_begin_text=True),
    Kind("a Matroska video", b"\x1aE\xdf\xa3"),
    Kind("a font", b"wOF", may_begin_text=True),
    Kind("a font", b"OTTO", may_begin_text=True),
    Kind("a program (ELF)", b"\x7fELF"),
    Kind("a program (Mach-O)", b"\xcf\xfa\xed\xfe"),
    Kind("a program (Windows)", b"MZ", may_begin_text=True),
    Kind("a Java class", b"\xca\xfe\xba\xbe"),
    Kind("a WebAssembly module", b"\0asm"),
)
"""The first that fits is meant. Formats that are text themselves, such as RTF, are counted."""

MARKS_OF_WIDE_TEXT = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks; that of UTF-32 begins as that of UTF-16 does."""
ORDER_MARKS = {
    name: tuple(mark for mark, text in MARKS_OF_WIDE_TEXT.items() if text == name)
    for name in ("utf-16", "utf-32")
}
"""What texts in these encodings begin with: without one, the order of their bytes is not known."""
ZIP_MARKS = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")
# What a zip archive is, by what names of files in it begin with or the first file says.
ZIPPED = {
    b"word/": "a Word document (docx)",
    b"xl/": "an Excel workbook (xlsx)",
    b"ppt/": "a PowerPoint presentation (pptx)",
    b"mimetypeapplication/vnd.oasis.opendocument": "an OpenDocument file",
    b"mimetypeapplication/epub+zip": "an EPUB book",
}
ZIPPED_NAMES = re.compile(rb"PK\x03\x04.{26}(.{0,60})", re.DOTALL)
# A text has none of them; an escape may stand in one, for colours.
CONTROLS = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]")
SAMPLE_BYTES = 512


def why_no_text(head: bytes, encoding: str) -> str:
    """Return why what begins so is not text in an encoding, and what to do; empty if it may be.

    Args:
        head: the first bytes of a file, plain or in gzip.
        encoding: as `encoding_named` returns it.
    """
    if not is_gzip(head):
        return _why(head, encoding, "")
    try:
        text = zlib.decompressobj(wbits=31).decompress(head, MOST_DECOMPRESSED)
    except zlib.error:
        return f"is binary (damaged gzip data): {GIVE}"
    return _why(text, encoding, " in gzip")


def _why(head: bytes, encoding: str, where: str) -> str:
    if head and encoding in ORDER_MARKS and not head.startswith(ORDER_MARKS[encoding]):
        return (
            f"has no byte order mark{where}: set job.encoding (--encoding) to {encoding}-le or "
            f"{encoding}-be, or to what it is"
        )
    has_nul = "\0" in _decoded(head, encoding) if is_wide(encoding) else b"\0" in head
    for mark, name in MARKS_OF_WIDE_TEXT.items():
        # In another encoding hardly any text begins so; and if it is ASCII, it has NUL bytes.
        if head.startswith(mark) and not is_wide(encoding) and (has_nul or encoding == UTF_8):
            return (
                f"is {name.upper()} text{where}, by its byte order mark: set job.encoding "
                f"(--encoding {name}), or convert it to UTF-8"
            )
    if kind := _kind_of(head, encoding):
        return f"is binary ({kind.name}{where}): {kind.advice}"
    if has_nul:
        return (
            "is binary (it holds NUL bytes): give UTF-8 text, plain or in gzip; of UTF-16 without "
            "a byte order mark set job.encoding (--encoding utf-16-le)"
        )
    return ""


def _kind_of(head: bytes, encoding: str) -> Kind | None:
    if head.startswith(ZIP_MARKS):
        return _zipped(head)
    fitting = (kind for kind in KINDS if kind.fits(head))
    return next((k for k in fitting if not (k.may_begin_text and _is_text(head, encoding))), None)


def _zipped(head: bytes) -> Kind:
    for found in ZIPPED_NAMES.finditer(head):
        for beginning, name in ZIPPED.items():
            if found[1].startswith(beginning):
                return Kind(name, b"PK", CONVERT)
    return Kind("a zip archive", b"PK", "unpack it")


def _is_text(head: bytes, encoding: str) -> bool:
    """Tell whether a sample of what begins so looks like text."""
    sample = head[:SAMPLE_BYTES]
    if not is_wide(encoding) and CONTROLS.search(sample):
        return False
    return encoding != UTF_8 or "\ufffd" not in _decoded(sample, encoding)


def _decoded(head: bytes, encoding: str) -> str:
    """Return the beginning of a text; a character that is cut off at its end is left out."""
    return codecs.getincrementaldecoder(encoding)("replace").decode(head)

"""Texts that are not UTF-8: bytes that cannot be decoded, and other encodings."""

import codecs
import encodings as python_encodings
import gzip
import io
import itertools
import json
import pkgutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.word_count import encodings as of_the_flow
from tests.support.blob_servers import ReadableBlob
from tests.support.counted_words import (
    BAD_BYTES,
    KERNELS,
    count_settings,
    decoded,
    reference_count,
)
from tests.support.fuzzing import quickly
from tests.support.manifests import ARGUMENTS, bundle, write_manifest
from tests.support.node_program import assert_refused, count, run_program, words_of
from word_counter.blocks import read_blocks
from word_counter.counting import count_blocks
from word_counter.encodings import can_be_cut, encoding_named
from word_counter.ranges import SMALLEST_PART, clip
from word_counter.texts import count_file
from word_counter.vocabulary import Vocabulary

# pytest has threads when the program forks in its process; the program itself has none.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")

NAMES = [module.name for module in pkgutil.iter_modules(python_encodings.__path__)]
NOT_OF_TEXT = {"aliases", "charmap", "idna", "mbcs", "oem", "punycode", "undefined", "utf_7"}
NOT_OF_TEXT |= {"unicode_escape", "raw_unicode_escape"}
NOT_OF_TEXT |= {f"{name}_codec" for name in ("base64", "bz2", "hex", "quopri", "uu", "zlib")}
NOT_OF_TEXT |= {"rot_13"}
CUT = ["cp1252", "shift_jis", "gbk", "big5", "johab"]
WHOLE = ["utf-16", "euc_jp", "gb18030", "iso2022_jp", "cp037"]
# Characters of two bytes whose second byte is one that separates words in ASCII, or a letter.
AWKWARD = "ソ能表十 ボ可, 한글 café 東京 Zürich Привет 'ソ' [十]\n"
PARTS = [*BAD_BYTES, b"a", b"\x81", b"\xa4", b"\x5c", b"\x7c", b"\x40", b" ", b"\n", b"\x1b$B"]
BYTES = st.lists(st.sampled_from(PARTS) | st.binary(max_size=3), max_size=30).map(b"".join)


def replaced(content: bytes, encoding: str) -> tuple[str, int]:
    """Decode a text at once; return it, and how many bytes U+FFFD stands for."""
    bad = []

    def replace(error: UnicodeError) -> tuple[str, int]:
        """Note the bytes."""
        assert isinstance(error, UnicodeDecodeError)
        bad.append(error.end - error.start)
        return "\ufffd", error.end

    codecs.register_error("noted", replace)
    return content.decode(encoding, "noted"), sum(bad)


def counted_as(content: bytes, encoding: str, block_bytes: int = 64) -> Vocabulary:
    """Count a text in an encoding with the modules of the word counter."""
    how = count_settings()._replace(encoding=encoding)
    return count_blocks(read_blocks(io.BytesIO(content), 0, block_bytes), "text", how)


@pytest.mark.parametrize("kernel", KERNELS)
@quickly
@given(content=BYTES, cut=st.integers(0, 90), block_bytes=st.integers(1, 80))
def test_bytes_that_are_not_utf8_are_counted(
    kernel: str, content: bytes, cut: int, block_bytes: int
) -> None:
    """Each of them once, as often as it occurs, in any blocks and in any two ranges."""
    content = content.replace(b"\0", b"")
    how = count_settings(kernel=kernel)
    edges = sorted({0, min(cut, len(content)), len(content)})
    found = 0

    for first, end in itertools.pairwise(edges):
        start = max(first - 1, 0)
        blocks = read_blocks(io.BytesIO(content[start:]), start, block_bytes)
        limit = end if end < len(content) else None
        clipped = clip(blocks, first, limit, how.cuts)
        found += count_blocks(clipped, "text", how).undecodable

    assert found == replaced(content, "utf-8")[1]


@pytest.mark.parametrize("encoding", [*CUT, *WHOLE])
@quickly
@given(content=BYTES, block_bytes=st.integers(1, 80))
def test_any_bytes_in_another_encoding(encoding: str, content: bytes, block_bytes: int) -> None:
    """Words and bytes that cannot be decoded are those of the text decoded at once."""
    content = codecs.BOM_UTF16_LE + content if encoding == "utf-16" else content
    text, bad = replaced(content, encoding)
    if "\0" in text:
        return

    found = counted_as(content, encoding, block_bytes)

    assert decoded(found) == reference_count(text.encode())
    assert found.undecodable == bad


@pytest.mark.parametrize("encoding", CUT)
@quickly
@given(content=BYTES, cuts=st.lists(st.integers(1, 90), max_size=4), block=st.integers(1, 80))
def test_ranges_never_cut_a_character(
    encoding: str, content: bytes, cuts: list[int], block: int
) -> None:
    """Ranges cut anywhere add up to the words of the whole, in what can be cut."""
    text, bad = replaced(content, encoding)
    if "\0" in text:
        return
    how = count_settings()._replace(encoding=encoding)
    total = Vocabulary(Path())
    edges = [0, *sorted({cut for cut in cuts if cut < len(content)}), len(content)]

    for first, end in itertools.pairwise(edges):
        start = max(first - 1, 0)
        blocks = read_blocks(io.BytesIO(content[start:]), start, block)
        clipped = clip(blocks, first, end if end < len(content) else None, how.cuts)
        part = count_blocks(clipped, "text", how)
        total.take(*part.portable())

    assert decoded(total) == reference_count(text.encode())
    assert total.undecodable == bad


@pytest.mark.parametrize("name", sorted(set(NAMES) - NOT_OF_TEXT - {"utf_8_sig", "utf_8"}))
def test_what_can_be_cut(name: str) -> None:
    """In it no byte before white space, nor two, change what the white space is."""
    encoding = encoding_named(name)
    if not can_be_cut(encoding):
        return
    for number in range(256):
        for before in (bytes([number]), b"\x81" + bytes([number]), bytes([number]) + b"\xa1"):
            for space in "\t\n\v\f\r ":
                found = (before + space.encode()).decode(encoding, "replace")
                assert found == before.decode(encoding, "replace") + space, before


def test_encodings_of_all_kinds_can_be_cut_or_not() -> None:
    """Those of the tests above are what their lists say."""
    assert [can_be_cut(encoding_named(name)) for name in [*CUT, "utf8"]] == [True] * 6
    assert [can_be_cut(encoding_named(name)) for name in WHOLE] == [False] * 5


@pytest.mark.parametrize("name", [*NAMES, "Latin-1", "UTF8", "windows-1252", "no such", "a\0b"])
def test_flow_and_nodes_know_the_same_encodings(name: str) -> None:
    """What the flow takes, the node program takes by that name, and cuts where the flow does."""
    if name in NOT_OF_TEXT | {"no such", "a\0b"}:
        for known in (encoding_named, of_the_flow.encoding_named):
            with pytest.raises(ValueError, match=r"."):
                known(name)
        return

    found = encoding_named(name)

    assert of_the_flow.encoding_named(name) == found == encoding_named(found)
    assert of_the_flow.can_be_cut(found) == can_be_cut(found)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-be", "cp500", "latin1"])
def test_the_text_decides_and_not_its_encoding(tmp_path: Path, encoding: str) -> None:
    """A text has the same output, byte for byte, in every encoding that has its characters."""
    text = "Café façade, it's naïve: café\n"
    count(tmp_path, text.encode())
    expected = (tmp_path / "text_OUTPUT.txt").read_bytes()

    for content in (text.encode(encoding), gzip.compress(text.encode(encoding))):
        count(tmp_path, content, "--encoding", encoding)
        assert (tmp_path / "text_OUTPUT.txt").read_bytes() == expected


@pytest.mark.parametrize("encoding", ["shift_jis", "gb18030", "utf-16"])
def test_a_large_file_in_several_processes(tmp_path: Path, encoding: str) -> None:
    """A file that could be shared has the words of one pass, whether it is cut or not."""
    lines = "".join(f"{AWKWARD[:9]} {number}\n" for number in range(50)).encode(encoding)
    path = tmp_path / "text"
    number = 2 * SMALLEST_PART // len(lines) + 1
    path.write_bytes(lines * number)

    found = count_file(str(path), count_settings()._replace(encoding=encoding, processes=3))

    once = reference_count(lines.decode(encoding).encode())
    assert decoded(found) == {word: number * count for word, count in once.items()}
    assert found.undecodable == 0


def test_undecodable_bytes_are_reported(tmp_path: Path) -> None:
    """The last line of the output has their number, and standard output a warning; else neither."""
    (tmp_path / "text.txt").write_bytes("café café naïve".encode("cp1252"))

    done = run_program(tmp_path, "--filepath", "text.txt", "--numwords", "9")

    assert (done.returncode, done.stderr) == (0, b"")
    assert b"warning: input 'text.txt': 3 bytes are not utf-8" in done.stdout
    assert (tmp_path / "text_OUTPUT.txt").read_text().endswith("Pool: -\nUndecodable bytes: 3\n")
    good = run_program(
        tmp_path, *("--filepath", "text.txt", "--encoding", "cp1252"), "--numwords=9"
    )
    assert b"warning" not in good.stdout
    assert (tmp_path / "text_OUTPUT.txt").read_text().endswith("Pool: -\n")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "shift_jis"])
def test_undecodable_bytes_are_refused_if_asked(tmp_path: Path, encoding: str) -> None:
    """Then there is no output, and the error has their number."""
    (tmp_path / "text.txt").write_bytes(b"a \xfc\xff b")
    arguments = ("--filepath", "text.txt", "--numwords", "9", "--encoding", encoding)

    done = run_program(tmp_path, *arguments, "--on-undecodable", "refuse")

    assert_refused(done, 3, "'text.txt'", f"2 bytes are not {encoding}", "--encoding")
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def test_undecodable_bytes_of_many_inputs(tmp_path: Path) -> None:
    """Each input has its own number, in a bundle as well; a strict run refuses only the bad one."""
    bundle(tmp_path, {"bad.txt": b"caf\xe9", "good.txt": b"cafe"})
    write_manifest(tmp_path, {"filepath": "bad.txt"}, {"filepath": "good.txt"})
    arguments = (*ARGUMENTS, "--bundle", "b.tar", "--counts", "sum.gz")

    warned = run_program(tmp_path, *arguments)

    assert warned.returncode == 0
    assert b"'bad.txt': 1 byte is not utf-8" in warned.stdout
    assert "Undecodable bytes: 1" in (tmp_path / "bad_OUTPUT.txt").read_text()
    assert "Undecodable" not in (tmp_path / "good_OUTPUT.txt").read_text()
    strict = run_program(tmp_path, *arguments, "--on-undecodable", "refuse")
    assert_refused(strict, 3, "1 of 2 inputs failed", "'bad.txt'")
    lines = (tmp_path / "m_EXITS.jsonl").read_text().splitlines()
    assert [json.loads(line)["exit_code"] for line in lines] == [3, 0]


def test_undecodable_bytes_are_added_up(tmp_path: Path) -> None:
    """Counts files carry their number to the sum of all, once for each time that they occur."""
    for number, text in enumerate((b"caf\xe9 caf\xe9", b"cafe", b"\xff")):
        (tmp_path / "text").write_bytes(text)
        arguments = ("--filepath", "text", "--numwords", "9", "--counts", f"{number}.gz")
        assert run_program(tmp_path, *arguments).returncode == 0

    done = run_program(tmp_path, "--merge", "0.gz", "1.gz", "2.gz", "--numwords", "9")

    assert done.returncode == 0, done.stderr
    assert "Undecodable bytes: 3" in (tmp_path / "merge_OUTPUT.txt").read_text()
    assert gzip.decompress((tmp_path / "1.gz").read_bytes()).startswith(
        b"top_words counts 1 unicode\n"
    )


def test_a_range_in_an_encoding_that_can_be_cut(tmp_path: Path, server: ReadableBlob) -> None:
    """Ranges of a blob in Shift-JIS, cut in the middle of characters, add up to it."""
    server.content = (AWKWARD.replace("한글 café", "").replace("ü", "u") * 9).encode("shift_jis")
    found = 0

    for bounds in ("0-100", "101-150", "151-"):
        done = run_program(
            tmp_path,
            *("--range", bounds, "--numwords", "99", "--output", "out"),
            *("--encoding", "shift_jis", "--on-undecodable", "refuse"),
            environment={"TOP_WORDS_INPUT_URL": server.url},
        )
        assert done.returncode == 0, done.stderr
        found += dict(words_of(tmp_path / "out")).get("東京", 0)

    assert found == 9


def test_a_range_in_an_encoding_that_cannot_be_cut(tmp_path: Path, server: ReadableBlob) -> None:
    """It is refused: it could begin in the middle of a character."""
    server.content = "wide".encode("utf-16")

    done = run_program(
        tmp_path,
        *("--range", "0-", "--numwords", "9", "--encoding", "utf-16"),
        environment={"TOP_WORDS_INPUT_URL": server.url},
    )

    assert_refused(done, 3, "utf-16 cannot be counted in ranges")


@pytest.mark.parametrize("text", ["wide", "中文"])
def test_utf16_needs_a_byte_order_mark(tmp_path: Path, text: str) -> None:
    """Without one its bytes could be read in either order: the error says what to name."""
    (tmp_path / "text").write_bytes(text.encode("utf-16-be"))

    done = run_program(tmp_path, "--filepath", "text", "--numwords", "1", "--encoding", "utf-16")

    assert_refused(done, 3, "'text' has no byte order mark", "utf-16-be")


def test_an_unknown_encoding_is_a_usage_error(tmp_path: Path) -> None:
    """The error repeats the name."""
    done = run_program(tmp_path, "--filepath", "-", "--numwords", "1", "--encoding", "klingon")

    assert_refused(done, 2, "'klingon'", "--encoding")

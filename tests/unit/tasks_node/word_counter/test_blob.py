"""Ranges of a blob, counted against a real HTTP server."""

import random
from collections import Counter
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.support.blob_servers import CUT_OFF, READ_SAS, ReadableBlob
from tests.support.counted_words import count_settings, random_text, reference_count
from tests.support.node_program import assert_refused, run_program, words_of
from word_counter.blob import Blob
from word_counter.ranges import count_range
from word_counter.refusals import Refusal
from word_counter.storage import Location

# pytest has threads when the program forks in its process; the program itself has none.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


def run_range(folder: Path, server: ReadableBlob, bounds: str) -> CompletedProcess[bytes]:
    """Count a range; check that nothing of the SAS is printed."""
    done = run_program(
        folder,
        *("--range", bounds, "--numwords", "99999", "--output", "out"),
        environment={"TOP_WORDS_INPUT_URL": server.url},
    )
    assert b"s3cret" not in done.stdout + done.stderr
    return done


def words_in_range(folder: Path, server: ReadableBlob, bounds: str) -> Counter[str]:
    """Return the words of a range."""
    done = run_range(folder, server, bounds)
    assert done.returncode == 0, done.stderr
    return Counter(dict(words_of(folder / "out")))


def test_ranges_of_a_blob_add_up_to_it(tmp_path: Path, server: ReadableBlob) -> None:
    """Ranges cut at random places, the last one open, give the words of the whole."""
    source = random.Random(4)  # noqa: S311 - reproducible, not secret
    server.content = b".".join(random_text(source) for _ in range(200))
    cuts = sorted(source.sample(range(1, len(server.content)), 5))
    bounds = [f"{a}-{b - 1}" for a, b in zip([0, *cuts[:-1]], cuts, strict=True)]

    parts = [words_in_range(tmp_path, server, each) for each in [*bounds, f"{cuts[-1]}-"]]

    assert sum(parts, Counter[str]()) == reference_count(server.content)


def test_a_large_range_is_got_in_parts_by_several_processes(server: ReadableBlob) -> None:
    """Every process gets its part, in requests of a few megabytes."""
    server.content = b"some words of a text " * 500_000
    location = Location("http", f"127.0.0.1:{server.port}", "/input/text", READ_SAS)
    blob = Blob(location)
    how = count_settings()._replace(processes=2)

    words = count_range(blob, 0, blob.size, "blob", how)

    assert words.counts == Counter(
        dict.fromkeys([b"some", b"words", b"of", b"a", b"text"], 500_000)
    )
    assert len(server.requests) == 1 + 2 * 2


def test_a_range_ends_with_the_blob(tmp_path: Path, server: ReadableBlob) -> None:
    """A range may end behind the blob's end, or lie behind it."""
    server.content = b"a b c"

    assert words_in_range(tmp_path, server, "2-99") == {"b": 1, "c": 1}
    assert words_in_range(tmp_path, server, "50-99") == {}


def test_an_empty_blob_has_no_words(tmp_path: Path, server: ReadableBlob) -> None:
    """The service's refusal of any range of an empty blob is not an error."""
    assert words_in_range(tmp_path, server, "0-") == {}


@pytest.mark.parametrize("refusal", [429, 503, CUT_OFF, 206])
def test_a_passing_failure_is_retried(tmp_path: Path, server: ReadableBlob, refusal: int) -> None:
    """Throttling, a server error or a body cut off is asked again."""
    server.content = b"a b a"
    server.refusals = [refusal]

    assert words_in_range(tmp_path, server, "0-") == {"a": 2, "b": 1}


@pytest.mark.parametrize("status", [301, 403, 404])
def test_a_refusal_exits_3(tmp_path: Path, server: ReadableBlob, status: int) -> None:
    """What the service refuses is an input error with its status."""
    server.refusals = [status]

    assert_refused(run_range(tmp_path, server, "0-"), 3, f"HTTP {status}")


def test_a_blob_that_changes_is_refused(server: ReadableBlob) -> None:
    """Ranges of two versions never add up, so a change on the way is an error."""
    server.content = b"a b c"
    location = Location("http", f"127.0.0.1:{server.port}", "/input/text", READ_SAS)
    blob = Blob(location)
    server.etag = '"2"'

    with pytest.raises(Refusal, match="HTTP 412"):
        list(blob.blocks(0))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x1f\x8b\x08\x00 text", "gzip"),
        ("wide".encode("utf-16"), "UTF-16"),
        (b"a b c \0text", "NUL byte at offset 6"),
    ],
)
def test_what_cannot_be_cut_exits_3(
    tmp_path: Path, server: ReadableBlob, content: bytes, reason: str
) -> None:
    """Compressed and wide text is refused by every range of it."""
    server.content = content

    assert_refused(run_range(tmp_path, server, "3-"), 3, reason)


def test_a_nul_byte_where_ranges_meet_is_found(tmp_path: Path, server: ReadableBlob) -> None:
    """The separator at the end of a range is its own too."""
    server.content = b"text\0text"

    assert_refused(run_range(tmp_path, server, "0-3"), 3, "NUL byte at offset 4")


def test_a_range_needs_a_url(tmp_path: Path) -> None:
    """Without the variable a range is a usage error, and with rubbish in it an input error."""
    arguments = ("--range", "0-", "--numwords", "1")

    assert_refused(run_program(tmp_path, *arguments), 2, "TOP_WORDS_INPUT_URL")
    rubbish = {"TOP_WORDS_INPUT_URL": "secret"}
    done = run_program(tmp_path, *arguments, environment=rubbish)
    assert_refused(done, 3, "TOP_WORDS_INPUT_URL holds no blob SAS URL")
    assert b"secret" not in done.stderr


def test_outputs_of_ranges_have_names_of_their_own(tmp_path: Path, server: ReadableBlob) -> None:
    """An output that is not named bears the range, so that those of one blob never collide."""
    server.content = b"a b"

    for bounds in ("0-1", "2-"):
        run_program(
            tmp_path,
            *("--range", bounds, "--numwords", "1"),
            environment={"TOP_WORDS_INPUT_URL": server.url},
        )

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"range_{0:020}-{1:020}_OUTPUT.txt",
        f"range_{2:020}-_OUTPUT.txt",
    ]

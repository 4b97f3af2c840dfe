"""Ranges of a blob, counted by the node program against a real HTTP server."""

import random
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.unit.test_node_program import assert_refused, run_program, words_of
from tests.unit.test_node_program_words import random_text, reference_count, task, top_words

SAS = "sv=2021-12-02&sp=r&sig=s3cret%2Fsignature%3D"
CUT_OFF = 0

# pytest has threads when the program forks in its process; the program itself has none.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


@dataclass
class BlobServer:
    """One blob as a storage service gives it: its content, its ETag, and answers to give first."""

    port: int
    content: bytes = b""
    etag: str = '"1"'
    refusals: list[int] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The blob's SAS URL."""
        return f"http://127.0.0.1:{self.port}/account/input/text.txt?{SAS}"


def handler_for(server: BlobServer) -> type[BaseHTTPRequestHandler]:
    """Return a handler that gives ranges of the blob."""

    class Handler(BaseHTTPRequestHandler):
        """Get Blob, recorded."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer one range, or the next refusal."""
            asked = self.headers["Range"]
            server.requests.append(asked)
            refusal = server.refusals.pop(0) if server.refusals else None
            match = re.fullmatch(r"bytes=(\d+)-(\d+)", asked)
            assert match is not None
            first, last = int(match[1]), int(match[2])
            body = server.content[first : last + 1]
            if refusal:
                self.answer(refusal, b"")
            elif self.headers.get("If-Match", server.etag) != server.etag:
                self.answer(412, b"")
            elif not body:
                self.answer(416, b"")
            else:
                self.answer(206, body, first, cut=refusal == CUT_OFF)

        def answer(self, status: int, body: bytes, first: int = 0, *, cut: bool = False) -> None:
            """Send an answer, perhaps only the half of it."""
            self.send_response(status)
            last = first + len(body) - 1
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(server.content)}")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", server.etag)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.close_connection = cut

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Keep the test's output clean."""

    return Handler


@pytest.fixture
def server() -> Iterator[BlobServer]:
    """Serve on a free loopback port for one test."""
    server = BlobServer(0)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler_for(server)) as http:
        server.port = http.server_port
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield server
        http.shutdown()
        thread.join()


def run_range(folder: Path, server: BlobServer, bounds: str) -> CompletedProcess[bytes]:
    """Count a range; check that nothing of the SAS is told."""
    done = run_program(
        folder,
        *("--range", bounds, "--numwords", "99999", "--output", "out"),
        environment={"TOP_WORDS_INPUT_URL": server.url},
    )
    assert b"s3cret" not in done.stdout + done.stderr
    return done


def count_range(folder: Path, server: BlobServer, bounds: str) -> Counter[str]:
    """Return the words of a range."""
    done = run_range(folder, server, bounds)
    assert done.returncode == 0, done.stderr
    return Counter(dict(words_of(folder / "out")))


def test_ranges_of_a_blob_add_up_to_it(tmp_path: Path, server: BlobServer) -> None:
    """Ranges cut at random places, the last one open, give the words of the whole."""
    source = random.Random(4)  # noqa: S311 - reproducible, not secret
    server.content = b".".join(random_text(source) for _ in range(200))
    cuts = sorted(source.sample(range(1, len(server.content)), 5))
    bounds = [f"{a}-{b - 1}" for a, b in zip([0, *cuts[:-1]], cuts, strict=True)]

    parts = [count_range(tmp_path, server, each) for each in [*bounds, f"{cuts[-1]}-"]]

    assert sum(parts, Counter[str]()) == reference_count(server.content)


def test_a_large_range_is_got_in_parts_by_several_processes(server: BlobServer) -> None:
    """Every process gets its part, in requests of a few megabytes."""
    server.content = b"some words of a text " * 500_000
    location = top_words.Location("http", f"127.0.0.1:{server.port}", "/input/text", SAS)
    blob = top_words.Blob(location)
    how = task()._replace(processes=2)

    words = top_words.count_ranges(blob, 0, blob.size, "blob", how)

    assert words.counts == Counter(
        dict.fromkeys([b"some", b"words", b"of", b"a", b"text"], 500_000)
    )
    assert len(server.requests) == 1 + 2 * 2


def test_a_range_ends_with_the_blob(tmp_path: Path, server: BlobServer) -> None:
    """A range may end behind the blob's end, or lie behind it."""
    server.content = b"a b c"

    assert count_range(tmp_path, server, "2-99") == {"b": 1, "c": 1}
    assert count_range(tmp_path, server, "50-99") == {}


def test_an_empty_blob_has_no_words(tmp_path: Path, server: BlobServer) -> None:
    """The service's refusal of any range of an empty blob is no error."""
    assert count_range(tmp_path, server, "0-") == {}


@pytest.mark.parametrize("refusal", [429, 503, CUT_OFF, 206])
def test_a_passing_failure_is_retried(tmp_path: Path, server: BlobServer, refusal: int) -> None:
    """Throttling, a server error or a body cut off is asked again."""
    server.content = b"a b a"
    server.refusals = [refusal]

    assert count_range(tmp_path, server, "0-") == {"a": 2, "b": 1}


@pytest.mark.parametrize("status", [301, 403, 404])
def test_a_refusal_exits_3(tmp_path: Path, server: BlobServer, status: int) -> None:
    """What the service refuses is an input error with its status."""
    server.refusals = [status]

    assert_refused(run_range(tmp_path, server, "0-"), 3, f"HTTP {status}")


def test_a_blob_that_changes_is_refused(server: BlobServer) -> None:
    """Ranges of two versions never add up, so a change on the way is an error."""
    server.content = b"a b c"
    location = top_words.Location("http", f"127.0.0.1:{server.port}", "/input/text", SAS)
    blob = top_words.Blob(location)
    server.etag = '"2"'

    with pytest.raises(top_words.Refusal, match="HTTP 412"):
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
    tmp_path: Path, server: BlobServer, content: bytes, reason: str
) -> None:
    """Compressed and wide text is refused by every range of it."""
    server.content = content

    assert_refused(run_range(tmp_path, server, "3-"), 3, reason)


def test_a_nul_byte_where_ranges_meet_is_found(tmp_path: Path, server: BlobServer) -> None:
    """The separator at the end of a range is its own too."""
    server.content = b"text\0text"

    assert_refused(run_range(tmp_path, server, "0-3"), 3, "NUL byte at offset 4")


@pytest.mark.parametrize("bounds", ["", "1", "-5", "5-4", "a-b", "1-2-3", "٣-٤"])
def test_a_range_that_is_none_exits_2(tmp_path: Path, server: BlobServer, bounds: str) -> None:
    """Anything but FIRST-LAST or FIRST- is a usage error."""
    done = run_program(
        tmp_path,
        *(f"--range={bounds}", "--numwords", "1"),
        environment={"TOP_WORDS_INPUT_URL": server.url},
    )

    assert_refused(done, 2, "--range")


def test_a_range_needs_a_url(tmp_path: Path) -> None:
    """Without the variable a range is a usage error, and with rubbish in it an input error."""
    arguments = ("--range", "0-", "--numwords", "1")

    assert_refused(run_program(tmp_path, *arguments), 2, "TOP_WORDS_INPUT_URL")
    rubbish = {"TOP_WORDS_INPUT_URL": "secret"}
    done = run_program(tmp_path, *arguments, environment=rubbish)
    assert_refused(done, 3, "TOP_WORDS_INPUT_URL holds no blob SAS URL")
    assert b"secret" not in done.stderr


def test_outputs_of_ranges_have_names_of_their_own(tmp_path: Path, server: BlobServer) -> None:
    """Unless told otherwise the output bears the range, so that those of one blob never collide."""
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

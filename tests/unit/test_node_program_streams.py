"""The node program on large and awkward inputs: ranges, spills, processes, gzip."""

import gzip
import io
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_node_program import PROGRAM, assert_refused, count, run_program, words_of
from tests.unit.test_node_program_words import (
    KERNELS,
    counted,
    decoded,
    random_text,
    reference_count,
    task,
    top_words,
)

# pytest has threads when the program forks in its process; the program itself has none.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


def counted_in_ranges(content: bytes, edges: list[int], block_bytes: int, how: Any) -> Counter[str]:
    """Count the ranges between edges one by one and add them up."""
    total: Counter[str] = Counter()
    for first, end in itertools.pairwise(edges):
        start = max(first - 1, 0)
        blocks = top_words.read_blocks(io.BytesIO(content[start:]), start, block_bytes)
        limit = end if end < len(content) else None
        clipped = top_words.clip(blocks, first, limit, how.definition.table)
        total += decoded(top_words.count_blocks(clipped, "text", how))
    return total


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("seed", range(5))
def test_ranges_add_up_to_the_whole(seed: int, kernel: str) -> None:
    """Awkward texts cut at random places, read in random blocks, have the reference's words."""
    source = random.Random(seed)  # noqa: S311 - reproducible, not secret
    for _ in range(200):
        content = random_text(source)
        inner = {source.randrange(1, len(content) + 1) for _ in range(4) if content}
        edges = [0, *sorted(inner - {len(content)}), len(content)]
        found = counted_in_ranges(content, edges, source.randint(1, 64), task(kernel=kernel))
        assert (found if content else {}) == reference_count(content), (content, edges)


def big_text(source: random.Random) -> bytes:
    """Return a text that is large enough to be counted by several processes."""
    words = [random_text(source).replace(b"\n", b" ") for _ in range(500)]
    words += [b"%x" % number for number in range(5000)]
    line = b" ".join(source.choices(words, k=20_000)) + b"\n"
    size: int = 2 * top_words.SMALLEST_PART
    return line * (size // len(line) + 1)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_change_nothing(tmp_path: Path, processes: int) -> None:
    """A file counted by several processes has the words of one pass over it."""
    content = big_text(random.Random(1))  # noqa: S311 - reproducible, not secret
    path = tmp_path / "text"
    path.write_bytes(content)

    words = top_words.count_file(str(path), task()._replace(processes=processes))

    assert decoded(words) == counted(content)


@pytest.mark.parametrize("kernel", KERNELS)
def test_spilling_changes_nothing(tmp_path: Path, kernel: str) -> None:
    """With a vocabulary far above the bound, merged runs have the same words."""
    numbers = random.Random(2).choices(range(30_000), k=60_000)  # noqa: S311 - not secret
    content = b" ".join(b"%x" % number for number in numbers)
    how = task(kernel=kernel, folder=tmp_path / "runs")._replace(most_weight=100)
    blocks = top_words.read_blocks(io.BytesIO(content), 0, 3000)

    words = top_words.count_blocks(blocks, "text", how)

    assert len(words.runs) > top_words.MOST_RUNS
    assert decoded(words) == Counter(f"{number:x}" for number in numbers)


def test_the_most_frequent_words_of_runs_are_found(tmp_path: Path) -> None:
    """The words of the highest counts are found across runs, ties by code point."""
    words = top_words.Words(tmp_path / "runs", most_weight=2)
    for word in "bacbdaecfghi":
        words.add(Counter({word.encode(): 1}))

    assert words.most_frequent(4) == [(b"a", 2), (b"b", 2), (b"c", 2), (b"d", 1)]


def test_few_long_words_weigh_as_much_as_many_short_ones() -> None:
    """Memory is bounded in bytes too: a word of 64 kB counts as about a thousand."""
    text = b" ".join(b"%d" % number * 20_000 for number in range(10, 20))

    assert top_words.Pieces(task().definition.table).add(text) > 10 * 600


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_run_without_separators_is_reported(tmp_path: Path, processes: str) -> None:
    """A run longer than a megabyte exits 3 with its place, whichever process meets it."""
    text = b"word " * 10 + b"x" * 5_000_000 + b" word"
    (tmp_path / "text").write_bytes(text)

    done = run_program(tmp_path, "--filepath", "text", "--numwords", "1", "--processes", processes)

    assert_refused(done, 3, "'text'", "without a separator at offset 50")


@pytest.mark.parametrize(("length", "is_counted"), [(1 << 20, True), ((1 << 20) + 1, False)])
@pytest.mark.parametrize("block_bytes", [1000, 1 << 18])
def test_the_bound_of_a_run_is_exact(length: int, block_bytes: int, *, is_counted: bool) -> None:
    """Whether a run is too long does not depend on how it is read."""
    content = b"a " + b"x" * length + b" b"

    if is_counted:
        assert counted(content, block_bytes=block_bytes)["x" * length] == 1
    else:
        with pytest.raises(top_words.Refusal, match="offset 2"):
            counted(content, block_bytes=block_bytes)


def test_a_nul_byte_of_a_later_process_is_found(tmp_path: Path) -> None:
    """Binary data anywhere in a large file exits 3 with its offset."""
    (tmp_path / "text").write_bytes(b"word " * 1_000_000 + b"\0")

    done = run_program(tmp_path, "--filepath", "text", "--numwords", "1", "--processes", "2")

    assert_refused(done, 3, "NUL byte at offset 5000000")


def test_nothing_but_the_output_stays(tmp_path: Path) -> None:
    """The folder of the runs is removed, and the output is exact after spilling."""
    with (tmp_path / "text").open("wb") as file:
        file.writelines(b"%d\n" % number for number in range(1_000_000))
        file.write(b"7 8 8\n")

    done = run_program(tmp_path, "--filepath", "text", "--numwords", "3", "--output", "out")

    assert done.returncode == 0, done.stderr
    assert words_of(tmp_path / "out") == [("8", 3), ("7", 2), ("0", 1)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "text"]


def test_gzip_is_recognised(tmp_path: Path) -> None:
    """Compressed text of two members is counted as its text, whatever its name."""
    text = gzip.compress(b"a b a") + gzip.compress(b" b a") + b"\0\0"

    assert count(tmp_path, text) == [("a", 3), ("b", 2)]


def test_gzip_is_recognised_on_standard_input(tmp_path: Path) -> None:
    """Compressed text that comes through a pipe is counted too."""
    run_program(tmp_path, "--filepath", "-", "--numwords", "1", stdin=gzip.compress(b"x y x"))

    assert words_of(tmp_path / "stdin_OUTPUT.txt") == [("x", 2)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(b"a b c" * 1000)[:-9], "cut off"),
        (gzip.compress(b"a b c")[:-8] + bytes(8), "damaged"),
        (gzip.compress(b"a b c") + b"rest", "damaged"),
        (gzip.compress("wide".encode("utf-16")), "UTF-16"),
        (gzip.compress(b"a\0b"), "NUL byte at offset 1"),
    ],
    ids=["cut", "sum", "rest", "wide", "binary"],
)
def test_bad_gzip_exits_3(tmp_path: Path, content: bytes, reason: str) -> None:
    """Compressed data that is damaged, cut off or no text is refused with the reason."""
    (tmp_path / "text.gz").write_bytes(content)

    done = run_program(tmp_path, "--filepath", "text.gz", "--numwords", "1")

    assert_refused(done, 3, "'text.gz'", reason)


@pytest.mark.parametrize(
    ("quotas", "processors"),
    [
        ({"": "max 100000", "a": "150000 100000", "a/b": "400000 100000"}, 1.5),
        ({"a/b": "50000 100000"}, 0.5),
        ({"a": "max 100000"}, None),
    ],
)
def test_the_quota_of_the_control_group_is_read(
    tmp_path: Path, quotas: dict[str, str], processors: float | None
) -> None:
    """The least quota of a process's groups and those above it holds."""
    for group, quota in quotas.items():
        (tmp_path / group).mkdir(parents=True, exist_ok=True)
        (tmp_path / group / "cpu.max").write_text(f"{quota}\n")
    (tmp_path / "own").write_text("0::/a/b\n")

    assert top_words.cgroup_quota(str(tmp_path), str(tmp_path / "own")) == processors


def test_a_process_that_is_killed_is_reported() -> None:
    """A process that ends without its result, as for want of memory, is an internal error."""
    with (
        top_words.in_processes(lambda _: os.kill(os.getpid(), signal.SIGKILL), [0]) as children,
        pytest.raises(top_words.Refusal, match="was killed") as caught,
    ):
        children[0].result()

    assert caught.value.exit_code == 70


def test_a_defect_in_a_process_is_told_without_its_text() -> None:
    """What goes wrong in a process is named by type and line, as it is in the program itself."""
    with (
        top_words.in_processes(lambda number: os.environ[f"sig=secret{number}"], [0]) as children,
        pytest.raises(top_words.Refusal, match=r"internal error: KeyError at \S.*:\d+$"),
    ):
        children[0].result()


def test_processes_that_still_run_at_the_end_are_stopped() -> None:
    """When the work is given up, nothing goes on in the background."""
    with top_words.in_processes(lambda _: signal.pause(), [0, 1]) as children:
        pids = [child.pid for child in children]

    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@pytest.mark.skipif(sys.platform != "linux", reason="affinity is Linux's")
def test_the_affinity_of_the_process_is_respected(tmp_path: Path) -> None:
    """By default there are no more processes than the process may use processors."""
    processor = min(os.sched_getaffinity(0))
    command = ["taskset", "-c", str(processor), sys.executable, str(PROGRAM)]

    done = subprocess.run(
        [*command, "--filepath", os.devnull, "--numwords", "1"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )

    assert b"at most 1 processes" in done.stdout


@pytest.mark.parametrize("content", [b"\x7fELF rubbish", b""])
def test_an_accelerator_that_does_not_load_is_not_used(tmp_path: Path, content: bytes) -> None:
    """A library that cannot be loaded changes nothing but the line that says who counted."""
    program = Path(shutil.copy(PROGRAM, tmp_path))
    (tmp_path / f"top_words-{os.uname().machine}.so").write_bytes(content)

    done = run_program(tmp_path, "--filepath", "-", "--numwords", "1", stdin=b"a", program=program)

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"top_words: counted with Python, ")

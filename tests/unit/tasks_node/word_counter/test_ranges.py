"""Ranges of a text, by one process and by several."""

import random
from pathlib import Path

import pytest

from tests.support.counted_words import (
    KERNELS,
    count_settings,
    counted,
    counted_in_ranges,
    decoded,
    random_text,
    reference_count,
)
from word_counter.ranges import SMALLEST_PART
from word_counter.texts import count_file

# pytest has threads when the program forks in its process; the program itself has none.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("seed", range(5))
def test_ranges_add_up_to_the_whole(seed: int, kernel: str) -> None:
    """Awkward texts cut at random places, read in random blocks, have the reference's words."""
    source = random.Random(seed)  # noqa: S311 - reproducible, not secret
    for _ in range(200):
        content = random_text(source)
        inner = {source.randrange(1, len(content) + 1) for _ in range(4) if content}
        edges = [0, *sorted(inner - {len(content)}), len(content)]
        how = count_settings(kernel=kernel)
        found = counted_in_ranges(content, edges, source.randint(1, 64), how)
        assert (found if content else {}) == reference_count(content), (content, edges)


def big_text(source: random.Random) -> bytes:
    """Return a text that is large enough to be counted by several processes."""
    words = [random_text(source).replace(b"\n", b" ") for _ in range(500)]
    words += [b"%x" % number for number in range(5000)]
    line = b" ".join(source.choices(words, k=20_000)) + b"\n"
    size: int = 2 * SMALLEST_PART
    return line * (size // len(line) + 1)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_change_nothing(tmp_path: Path, processes: int) -> None:
    """A file counted by several processes has the words of one pass over it."""
    content = big_text(random.Random(1))  # noqa: S311 - reproducible, not secret
    path = tmp_path / "text"
    path.write_bytes(content)

    words = count_file(str(path), count_settings()._replace(processes=processes))

    assert decoded(words) == counted(content)

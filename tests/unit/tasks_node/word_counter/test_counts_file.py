"""Counts files: written, uploaded, merged."""

import gzip
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.support.blob_servers import WritableContainer
from tests.support.counted_words import random_text, reference_count
from tests.support.counts_files import parse
from tests.support.node_program import assert_refused, run_program, words_of
from word_counter.output import Targets, write
from word_counter.tokenizer import DEFINITIONS
from word_counter.vocabulary import Vocabulary

HEADING = "top_words counts 1 unicode\n"


def counts_file(folder: Path, name: str, text: bytes, *arguments: str) -> Path:
    """Make a counts file of a text."""
    (folder / "text").write_bytes(text)
    done = run_program(
        folder,
        *("--filepath", "text", "--numwords", "1", "--output", "top", "--counts", name),
        *arguments,
    )
    assert done.returncode == 0, done.stderr
    return folder / name


def test_a_counts_file_holds_every_word_in_order(tmp_path: Path) -> None:
    """All words and counts are in it, sorted by code point."""
    path = counts_file(tmp_path, "c.gz", "b é a b \U00010400 \uff41 b".encode())

    assert parse(path) == [("a", 1), ("b", 3), ("é", 1), ("\uff41", 1), ("\U00010428", 1)]


def test_equal_counts_make_equal_files(tmp_path: Path) -> None:
    """The order of words in a text, the time and the file's name leave no trace."""
    first = counts_file(tmp_path, "1.gz", b"a b c a")

    assert counts_file(tmp_path, "2.gz", b"c a b a").read_bytes() == first.read_bytes()


def test_merged_counts_are_those_of_the_whole(tmp_path: Path) -> None:
    """Counts of a hundred texts add up to the reference's count of all of them."""
    source = random.Random(3)  # noqa: S311 - reproducible, not secret
    texts = [random_text(source).replace(b"\r", b"") + b"\n" for _ in range(100)]
    names = []
    for number in range(0, 100, 25):
        names.append(f"{number}.gz")
        counts_file(tmp_path, names[-1], b".\n" + b"".join(texts[number : number + 25]))

    done = run_program(tmp_path, "--merge", *names, "--numwords", "99999", "--counts", "all.gz")

    expected = reference_count(b"\n".join(texts))
    assert done.returncode == 0, done.stderr
    assert Counter(dict(parse(tmp_path / "all.gz"))) == expected
    assert Counter(dict(words_of(tmp_path / "merge_OUTPUT.txt"))) == expected


def test_more_counts_than_are_open_at_once_merge(tmp_path: Path) -> None:
    """Two hundred counts files merge like two, and no runs stay behind."""
    path = counts_file(tmp_path, "c.gz", b"a b a")

    done = run_program(tmp_path, "--merge", *[path.name] * 200, "--numwords", "9")

    assert done.returncode == 0, done.stderr
    assert words_of(tmp_path / "merge_OUTPUT.txt") == [("a", 400), ("b", 200)]
    assert not list(tmp_path.glob(".top-words-*"))


def test_counts_of_an_empty_text_merge(tmp_path: Path) -> None:
    """A counts file without words adds nothing."""
    path = counts_file(tmp_path, "c.gz", b"")

    done = run_program(tmp_path, "--merge", path.name, "--numwords", "9")

    assert done.returncode == 0, done.stderr
    assert words_of(tmp_path / "merge_OUTPUT.txt") == []


def test_counts_by_different_definitions_do_not_merge(tmp_path: Path) -> None:
    """Words of one kind are not added to words of the other."""
    counts_file(tmp_path, "1.gz", b"a")
    counts_file(tmp_path, "2.gz", b"a", "--words", "tutorial")

    done = run_program(tmp_path, "--merge", "1.gz", "2.gz", "--numwords", "9")

    assert_refused(done, 3, "'1.gz' by unicode", "'2.gz' by tutorial")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"text", "not a counts file"),
        (b"", "not a counts file"),
        (gzip.compress(b"text"), "not a counts file"),
        (gzip.compress(f"{HEADING}a\t1\n".encode())[:-5], "damaged"),
        (gzip.compress(f"{HEADING}b\t1\na\t1\n".encode()), "not sorted"),
        (gzip.compress(f"{HEADING}a\t1\na\t1\n".encode()), "not sorted"),
        (gzip.compress(f"{HEADING}a\t0\n".encode()), "damaged"),
        (gzip.compress(f"{HEADING}a\tx\n".encode()), "damaged"),
        (gzip.compress(f"{HEADING}a\t1\nb".encode()), "damaged"),
        (gzip.compress(f"{HEADING}a\n".encode()), "damaged"),
    ],
    ids=range(10),
)
def test_bad_counts_exit_3(tmp_path: Path, content: bytes, reason: str) -> None:
    """What is not a counts file, is cut off or is not sorted is refused with its name."""
    (tmp_path / "bad.gz").write_bytes(content)

    done = run_program(tmp_path, "--merge", "bad.gz", "--numwords", "1")

    assert_refused(done, 3, "'bad.gz'", reason)


def test_counts_that_are_not_there_exit_3(tmp_path: Path) -> None:
    """A missing counts file is an input error."""
    done = run_program(tmp_path, "--merge", "no.gz", "--numwords", "1")

    assert_refused(done, 3, "'no.gz'", "No such file")


def test_counts_that_cannot_be_written_exit_5(tmp_path: Path) -> None:
    """A counts file in a folder that is not there is an output error."""
    done = run_program(
        tmp_path, "--filepath", "-", "--numwords", "1", "--counts", "no/where", stdin=b"a"
    )

    assert_refused(done, 5, "'no/where'", "No such file")


def test_counts_are_uploaded_before_the_output(tmp_path: Path, service: WritableContainer) -> None:
    """Where the output is, the counts are too."""
    done = run_program(
        tmp_path,
        *("--filepath", "-", "--numwords", "1", "--counts", "c.gz"),
        environment={"TOP_WORDS_CONTAINER_URL": service.url()},
        stdin=b"a b",
    )

    assert done.returncode == 0, done.stderr
    names = [request.target.partition("?")[0] for request in service.requests]
    assert names == ["/account/output/c.gz", "/account/output/stdin_OUTPUT.txt"]
    assert service.requests[0].body == (tmp_path / "c.gz").read_bytes()


def test_counts_and_output_of_runs_agree(tmp_path: Path) -> None:
    """What went to runs on disk is in both files: all of it in one, the most in the other."""
    words = Vocabulary(tmp_path / "runs", most_weight=2)
    for word in "bacbdaecfghi":
        words.add(Counter({word.encode(): 1}))
    targets = Targets(tmp_path / "out", tmp_path / "counts.gz")

    write(words, DEFINITIONS["unicode"], 3, targets)

    expected = Counter("bacbdaecfghi")
    assert parse(tmp_path / "counts.gz") == sorted(expected.items())
    assert words_of(targets.output) == [("a", 2), ("b", 2), ("c", 2)]

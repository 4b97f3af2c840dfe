"""What a word is: the node program against a slow reference that takes one code point at a time."""

import importlib.util
import io
import random
import sys
import unicodedata
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.unit.test_node_program import PROGRAM, ROOT

IGNORED = "\u00ad\u200c\u200d\u2060\ufeff"
ALPHABET = [
    *"aAzZ09'\u2019 -.,_\t\r\n\x0b\x1c\x7f",
    *IGNORED,
    *"éÉßſıİÅǅŉﬁΑΣςͅ中कㄱ가²½Ⅷ٣",  # case pairs, expansions, the iota subscript, other scripts
    *"\u0301\u0338\u0308\u093f\u20dd\ufe0f\u02bc\u2014\u00a0\u2028\u3000\U0001f600\U00010400",
]
BAD_BYTES = [b"\xff", b"\xc3", b"\xe2\x80", b"\xed\xa0\x80", b"\x80", b"\xf0\x9f\x98"]


def load_program() -> ModuleType:
    """Import the node program by its path, as no package holds it."""
    spec = importlib.util.spec_from_file_location("node_program_top_words", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


top_words = load_program()


def reference_count(content: bytes) -> Counter[str]:
    """Count the words of a text by the definition, slowly: an automaton over its code points."""
    counts: Counter[str] = Counter()
    word, held = "", ""  # the word so far, and an apostrophe that joins if a letter follows
    for char in [*content.decode("utf-8", "replace"), "\n"]:
        if char in IGNORED:
            continue
        if char.isalnum():
            word, held = word + held + char, ""
        elif unicodedata.category(char) in {"Mn", "Mc", "Me"} and word and not held:
            word += char
        elif char in "'\u2019" and word and not held:
            held = "'"
        else:
            counts[word] += 1
            word, held = "", ""
    del counts[""]
    folded: Counter[str] = Counter()
    for each, number in counts.items():
        folded[fold(each)] += number
    return folded


def fold(word: str) -> str:
    """Spell the key of the definition out: NFC(casefold(NFD(word)))."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", word).casefold())


KERNELS = [
    "python",
    pytest.param("accelerator", marks=pytest.mark.accelerator),
]


def task(words: str = "unicode", kernel: str = "python", folder: Path = Path()) -> Any:
    """Return how the node program's own functions are to count."""
    library = top_words.load_library() if kernel == "accelerator" else None
    return top_words.Task(top_words.DEFINITIONS[words], 1, folder, library)


def decoded(words: Any) -> Counter[str]:
    """Return what the program has counted as one counter."""
    return Counter(
        {
            word.decode(): count
            for batch in words.batches()
            for word, count in zip(*batch, strict=True)
        }
    )


def counted(content: bytes, how: Any = None, block_bytes: int = 1 << 18) -> Counter[str]:
    """Count with the node program's own functions, reading in blocks of the given size."""
    blocks = top_words.read_blocks(io.BytesIO(content), 0, block_bytes)
    return decoded(top_words.count_blocks(blocks, "text", how or task()))


def random_text(source: random.Random) -> bytes:
    """Return a short text of awkward characters and, now and then, bytes that are not UTF-8."""
    parts = [
        source.choice(BAD_BYTES) if source.random() < 0.05 else source.choice(ALPHABET).encode()
        for _ in range(source.randrange(40))
    ]
    return b"".join(parts)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("seed", range(10))
def test_awkward_texts_are_counted_as_the_reference_counts(seed: int, kernel: str) -> None:
    """Random texts of marks, quotes and bad bytes, cut anywhere, give the reference's words."""
    source = random.Random(seed)  # noqa: S311 - reproducible, not secret
    for _ in range(200):
        content, block_bytes = random_text(source), source.randint(1, 64)
        assert counted(content, task(kernel=kernel), block_bytes) == reference_count(content), (
            content
        )


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("sample", ["taskdata1.txt", "taskdata2.txt", "taskdata3.txt"])
def test_the_samples_are_counted_as_the_reference_counts(sample: str, kernel: str) -> None:
    """Every word of the project's own texts has the reference's count."""
    content = (ROOT / "data" / sample).read_bytes()

    assert counted(content, task(kernel=kernel)) == reference_count(content)


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_character_is_taken_as_the_reference_takes_it(kernel: str) -> None:
    """All of the first two planes, behind a letter, before one, and between apostrophes."""
    characters = map(chr, [*range(1, 0xD800), *range(0xE000, 0x20000)])
    content = "\r\n".join(f"a{char}B {char}'{char}'a" for char in characters).encode()

    assert counted(content, task(kernel=kernel)) == reference_count(content)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("seed", range(3))
def test_the_tutorial_definition_is_independent_of_blocks(seed: int, kernel: str) -> None:
    """The words of 2016, cut in any blocks, are those of one split of the whole text."""
    source = random.Random(seed)  # noqa: S311 - reproducible, not secret
    stripped = r"""!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~""" + "\ufeff"
    for _ in range(200):
        content = random_text(source)
        expected = Counter(
            word.strip(stripped) for word in content.decode(errors="replace").split()
        )
        del expected[""]
        how = task("tutorial", kernel)
        assert counted(content, how, source.randint(1, 64)) == expected, content


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's IT\u2019S its", {"it's": 2, "its": 1}),
        (
            "'tis rock 'n' roll''s boys'",
            {"tis": 1, "rock": 1, "n": 1, "roll": 1, "s": 1, "boys": 1},
        ),
        ("choice—yours well-known", {"choice": 1, "yours": 1, "well": 1, "known": 1}),
        ("café cafe\u0301 CAFE\u0301 cafe", {"café": 3, "cafe": 1}),
        ("co\u00adoperate cooperate", {"cooperate": 2}),
        ("\u0301mark a'\u0301b", {"mark": 1, "a": 1, "b": 1}),
        ("ΟΔΟΣ οδος οδοσ", {"οδοσ": 3}),
        ("Straße STRASSE", {"strasse": 2}),
        ("3.14 snake_case", {"3": 1, "14": 1, "snake": 1, "case": 1}),
        ("हिन्दी", {"हिन्दी": 1}),
        ("— ' \u2019 … \u0301", {}),
    ],
)
def test_a_word_is_what_the_definition_says(text: str, words: dict[str, int]) -> None:
    """Apostrophes, dashes, accents, invisible characters and case are taken as documented."""
    assert counted(text.encode()) == words


def test_a_long_text_without_separators_is_one_word() -> None:
    """A run that spans many blocks is one word, counted whole."""
    assert counted(b"ab" * 5000, block_bytes=64) == {"ab" * 5000: 1}


@pytest.mark.parametrize("kernel", KERNELS)
def test_words_of_every_length_are_kept_apart(kernel: str) -> None:
    """Words that differ in one letter, of 1 to 99 letters, have their own counts."""
    words = [
        "a" * length + letter + "a" * more
        for length in range(50)
        for more in range(50)
        for letter in "bc"
    ]
    content = " ".join([*words, *words[::2]]).encode()

    assert counted(content, task(kernel=kernel), 1000) == Counter([*words, *words[::2]])


@pytest.mark.parametrize("kernel", KERNELS)
def test_many_different_words_are_counted(kernel: str) -> None:
    """Tables that grow many times lose nothing."""
    words = [f"{number:x}" * (1 + number % 4) for number in range(100_000)]
    content = " ".join([*words, *words[:500]]).encode()

    assert counted(content, task(kernel=kernel)) == Counter([*words, *words[:500]])


def test_only_the_most_frequent_words_are_kept() -> None:
    """The N words of the highest counts are taken, and all when there are fewer."""
    words = top_words.Words(Path())
    words.add(Counter({b"a": 1, b"b": 3, b"c": 2, b"d": 2}))

    assert words.most_frequent(3) == [(b"b", 3), (b"c", 2), (b"d", 2)]
    assert len(words.most_frequent(10**30)) == 4


@pytest.mark.parametrize("number", [1, 7, 20_000, 50_000])
def test_the_most_frequent_words_of_many_are_found(number: int) -> None:
    """Pruning on the way keeps the right words, ties included."""
    words = top_words.Words(Path())
    words.add(Counter({b"%x" % (n * 7919 % 65537): 1 + n % 3 for n in range(40_000)}))

    best = sorted(words.counts.items(), key=lambda entry: (-entry[1], entry[0]))
    assert words.most_frequent(number) == best[:number]


def test_no_word_can_break_the_output_format() -> None:
    """Whatever the text, a word holds no white space and is not empty."""
    everything = "".join(map(chr, [*range(1, 0xD800), *range(0xE000, 0x30000)])).encode()

    for words in top_words.DEFINITIONS:
        assert all(word.split() == [word] for word in counted(everything, task(words)))

"""How fast words are counted: `make benchmark-words ARGS="--megabytes N --rounds N"`.

Makes an English-like and a multilingual text whose vocabulary grows with their length, and counts
them with the node program, with and without its accelerator, beside what a user would otherwise
take. Programs take turns; medians of one run are printed: MB/s, CPU seconds, peak memory of all
processes, and speed by wall time as a multiple of the tutorial's method. Then the same for a text
that is all different words, with what is too much for the memory on disk, and all in memory.

Vocabulary decides the speed. The English text is made after 100 MB of Bible, dictionaries and
fortunes: there 1,000 words were 68 % of the text and 10,000 words 88 %, and what stands between
white space had 2.6 times as many forms as there were words, 345,000. Here it is 65 %, 87 %, 2.4
times and 469,000 words in 100 MB. Linux only.
"""

import argparse
import gzip
import importlib.util
import itertools
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROGRAM = Path(__file__).resolve().parents[1] / "tasks_node"
PYTHON = getattr(sys, "_base_executable", sys.executable)
SAMPLE_S = 0.05
KNEE = 5_000
# What stands between two words, and how often in a hundred: about as in prose.
JOINTS = {" ": 84, ", ": 7, ". ": 2, "; ": 1, "-": 2, " (": 1, ") ": 1, ' "': 1, '" ': 1}
SCRIPTS = {
    "tutorial's method": """
import collections, string, sys
with open(sys.argv[1], encoding="utf-8") as file:
    words = [word.strip(string.punctuation) for word in file.read().split()]
print(collections.Counter(words).most_common(10))
""",
    "Counter(text.split())": """
import collections, sys
with open(sys.argv[1], encoding="utf-8") as file:
    print(collections.Counter(file.read().split()).most_common(10))
""",
}
LIBRARIES = {
    "duckdb": """
import duckdb, sys
duckdb.sql("SET threads = 2")
print(duckdb.execute('''
    SELECT word, count(*) AS n FROM (
        SELECT unnest(string_split(lower(line), ' ')) AS word
        FROM read_csv($1, columns = {'line': 'VARCHAR'}, delim = '\\x01', quote = '',
                      escape = '', header = false, auto_detect = false)
    ) GROUP BY word ORDER BY n DESC LIMIT 10''', [sys.argv[1]]).fetchall())
""",
    "polars": """
import os, sys
os.environ["POLARS_MAX_THREADS"] = "2"
import polars
lines = open(sys.argv[1], encoding="utf-8").read().splitlines()
words = polars.Series("word", lines).str.to_lowercase().str.split(" ").explode()
print(words.value_counts(sort=True).head(10))
""",
}
NATIVE = "with accelerator"
IN_MEMORY = "without bound"
HOW_TO_GET = dict.fromkeys(LIBRARIES, "make benchmark-words")
SHELL = {
    "tr|sort|uniq|sort": "tr -s '[:space:]' '\\n' <\"$0\" | sort | uniq -c | sort -rn | head",
    "wc -w": 'wc -w <"$0"',
}


class Figures(NamedTuple):
    """What one run took."""

    wall_s: float
    cpu_s: float
    peak_bytes: int


def syllables(letters: str, source: random.Random) -> Iterator[str]:
    """Give words made of letters, short ones first, each once."""
    seen: set[str] = set()
    for number in itertools.count():
        length = 1 + number.bit_length() // 3 + source.randrange(3)
        word = "".join(source.choices(letters, k=length))
        if word not in seen:
            seen.add(word)
            yield word


def english_words(number: int, source: random.Random) -> list[str]:
    """Return different words, the most frequent first: some with capitals or apostrophes."""
    words = list(itertools.islice(syllables("etaoinshrdlucmfwygpbvk", source), number))
    for at in range(50, number, 20):
        words[at] = words[at].capitalize()
    for at in range(57, number, 40):
        words[at] += "'s"
    return words


def multilingual_words(number: int, source: random.Random) -> list[str]:
    """Return different words of eight scripts, some with decomposed accents."""
    scripts = [
        "etaoinshrdlucmfw",
        "eéèaàöüßñçoõiísšrž",
        "оеаинтсрвлкмдпуяыьгзбчйх",
        "αεηιοτνσρςπλκμυωάέί",
        "ابتثجحخدرزسشصعفقكلمنهوي",
        "कखगचजटडतदनपबमयरलवसहािीुे्",
        "的一是不了人我在有他这中大来上国",
        "가나다라마바사아자차카타파하고",
    ]
    share = number // len(scripts) + 1
    columns = [list(itertools.islice(syllables(letters, source), share)) for letters in scripts]
    columns[1] = [
        word if at % 3 else unicodedata.normalize("NFD", word) for at, word in enumerate(columns[1])
    ]
    return [word for row in zip(*columns, strict=True) for word in row][:number]


def write_text(path: Path, words: list[str], size: int, source: random.Random) -> None:
    """Write a text of `size` bytes whose words are as frequent as in large corpora.

    That is Zipf's law for some thousand words, and a steeper fall from there on.
    """
    weights = (1 / (rank + 2) * min(1, KNEE / (rank + 1)) ** 0.5 for rank in range(len(words)))
    cumulated = list(itertools.accumulate(weights))
    joints, often = list(JOINTS), list(itertools.accumulate(JOINTS.values()))
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            for _ in range(1000):
                line = source.choices(words, cum_weights=cumulated, k=14)
                line[0] = line[0].capitalize()
                between = [*source.choices(joints, cum_weights=often, k=13), ".\n"]
                file.write("".join(map(str.__add__, line, between)))


def tree(pid: int) -> Iterator[int]:
    """Give a process and all that descend from it."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(children).split():
            yield from tree(int(child))


def memory(pid: int) -> int:
    """Return the bytes of memory of a process and its descendants, shared ones counted once."""
    total = 0
    for each in tree(pid):
        for line in _read(Path(f"/proc/{each}/smaps_rollup")).splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has just ended
        return ""


def measure(command: list[str], folder: Path) -> Figures:
    """Run a command to its end and return what it took.

    Raises:
        CalledProcessError: it failed.
    """
    peaks = [0]
    ended = threading.Event()
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)  # noqa: S603

    def sample() -> None:
        while not ended.wait(SAMPLE_S):
            peaks.append(memory(process.pid))

    sampler = threading.Thread(target=sample)
    sampler.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - began
    ended.set()
    sampler.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Figures(wall_s, usage.ru_utime + usage.ru_stime, max(peaks))


def contestants(folder: Path) -> dict[str, list[str]]:
    """Return the command lines, without the text's path; none for what is not installed."""
    found = {name: [PYTHON, "-c", script] for name, script in SCRIPTS.items()}
    for name in ("top_words.py", IN_MEMORY):
        found |= both(name, copy_program(folder / name))
    lift_bound(folder / IN_MEMORY / "word_counter" / "vocabulary.py")
    is_built = (PROGRAM / f"top_words-{os.uname().machine}.so").exists()
    found |= {name: line if is_built else [] for name, line in both(NATIVE, PROGRAM).items()}
    for name, script in LIBRARIES.items():
        is_there = importlib.util.find_spec(name)
        found[name] = [sys.executable, "-c", script] if is_there else []
    return found | {name: ["sh", "-c", script] for name, script in SHELL.items()}


def both(name: str, place: Path) -> dict[str, list[str]]:
    """Return the command lines of the program in a folder, for all processors and for one."""
    start = [PYTHON, str(place / "top_words.py"), "--numwords", "10", "--output", "out.txt"]
    return {
        name: [*start, "--filepath"],
        f"{name}, 1 p.": [*start, "--processes", "1", "--filepath"],
    }


def copy_program(place: Path) -> Path:
    """Copy the node program, without its accelerator, into a new folder; return that."""
    shutil.copytree(PROGRAM / "word_counter", place / "word_counter")
    shutil.copy(PROGRAM / "top_words.py", place)
    return place


def lift_bound(module: Path) -> None:
    """Take the bound on the memory out of a copy of the node program.

    Raises:
        ValueError: the bound is written otherwise.
    """
    lifted, number = re.subn(
        "^MOST_WEIGHT = .*", "MOST_WEIGHT = 10**12", module.read_text(), flags=re.MULTILINE
    )
    if number != 1:
        raise ValueError("MOST_WEIGHT")
    module.write_text(lifted)


def compare(text: Path, commands: dict[str, list[str]], rounds: int) -> None:
    """Run every command `rounds` times, in turns, and print the medians."""
    results: dict[str, list[Figures]] = {name: [] for name, line in commands.items() if line}
    for _ in range(rounds):
        for name, figures in results.items():
            figures.append(measure([*commands[name], str(text)], text.parent))
    size = text.stat().st_size
    base = statistics.median(each.wall_s for each in next(iter(results.values())))
    print(f"\n{text.name}: {size / 1e6:.0f} MB, {rounds} rounds, medians")
    print(f"{'':24}{'MB/s':>8}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'x first':>12}")
    for name, figures in results.items():
        wall_s, cpu_s, peak = map(statistics.median, zip(*figures, strict=True))
        print(
            f"{name:24}{size / 1e6 / wall_s:8.1f}{wall_s:9.2f}{cpu_s:9.2f}{peak / 1e6:9.0f}"
            f"{base / wall_s:12.2f}",
            flush=True,
        )
    for name in commands.keys() - results.keys():
        print(f"{name:24}{'not installed: ' + HOW_TO_GET.get(name, 'make accelerator')}")


def start_times(folder: Path, command: list[str]) -> None:
    """Print how long a 2 kB text takes from start to exit, beside an empty Python program."""
    small = folder / "small.txt"
    small.write_text("a few words of a text \n" * 90)
    walls: list[list[float]] = [[], []]
    for _ in range(15):
        for wall, each in zip(walls, ([PYTHON, "-c", "pass"], [*command, str(small)]), strict=True):
            wall.append(measure(each, folder).wall_s)
    pass_s, ours_s = map(statistics.median, walls)
    print(f"2 kB: {ours_s * 1e3:.0f} ms, {ours_s / pass_s:.1f} x python3 -c pass")


def write_distinct(path: Path, number: int) -> None:
    """Write a text of so many words, all different, in no order."""
    with path.open("wb") as file:
        for start in range(0, number, 100_000):
            # Multiplying by an odd number modulo 2^40 makes every word once.
            numbers = ((n * 0x9E3779B97F) % 2**40 for n in range(start, start + 100_000))
            file.write(b"".join(b"%010x\n" % each for each in numbers))


def texts(folder: Path, megabytes: int, counting: list[str]) -> Iterator[Path]:
    """Make the two texts, one at a time, and print how many words they have."""
    source = random.Random(7)  # noqa: S311 - reproducible, not secret
    kinds = {"english": (english_words, 15_000), "multilingual": (multilingual_words, 25_000)}
    for name, (make, words_per_megabyte) in kinds.items():
        words = make(max(1000, words_per_megabyte * megabytes), source)
        path = folder / f"{name}.txt"
        write_text(path, words, megabytes * 1_000_000, source)
        measure([*counting, str(path), "--counts", "counts.gz"], folder)
        with gzip.open(folder / "counts.gz") as lines:
            next(lines)
            counts = [int(line.split()[1]) for line in lines]
        print(f"\n{name}: {sum(counts)} words, {len(counts)} different")
        yield path
        path.unlink()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100, help="size of each text")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--distinct", type=int, default=5_000_000, help="different words; 0: none")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        commands = contestants(folder)
        in_memory = {each: commands.pop(each) for each in both(IN_MEMORY, folder)}
        start_times(folder, commands["top_words.py"])
        for text in texts(folder, options.megabytes, commands["top_words.py"]):
            compare(text, commands, options.rounds)
        if options.distinct:
            write_distinct(folder / "distinct.txt", options.distinct)
            bounded = {each: commands[each] for each in ("top_words.py", NATIVE)}
            compare(folder / "distinct.txt", {IN_MEMORY: in_memory[IN_MEMORY]} | bounded, 1)


if __name__ == "__main__":
    main()

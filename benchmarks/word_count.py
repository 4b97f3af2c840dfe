"""How fast words are counted: `python -m benchmarks.word_count [--megabytes N] [--rounds N]`.

Makes an English-like and a multilingual text whose vocabulary grows with their length, and counts
them with the node program, with and without its accelerator, beside what a user would otherwise
take. Programs take turns; medians of one run are printed: MB/s, CPU seconds, peak memory of all
processes, and speed by wall time as a multiple of the tutorial's method. Linux only.
"""

import argparse
import importlib.util
import itertools
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

PROGRAM = Path(__file__).resolve().parents[1] / "tasks_node"
PYTHON = getattr(sys, "_base_executable", sys.executable)
SAMPLE_S = 0.05
KNEE = 20_000
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

    That is Zipf's law for some ten thousand words, and a steeper fall from there on.
    """
    weights = (1 / (rank + 2) * min(1, KNEE / (rank + 1)) ** 0.6 for rank in range(len(words)))
    cumulated = list(itertools.accumulate(weights))
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            for _ in range(1000):
                line = source.choices(words, cum_weights=cumulated, k=14)
                start, rest = " ".join(line[:5]), " ".join(line[5:])
                file.write(f"{start}, {rest}.\n")


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
    """Return the command lines; the text's path is still to be added."""
    plain = folder / "plain"
    plain.mkdir()
    shutil.copy(PROGRAM / "top_words.py", plain)
    found = {name: [PYTHON, "-c", script] for name, script in SCRIPTS.items()}
    counting = ["--numwords", "10", "--output", "out.txt", "--filepath"]
    found["top_words.py"] = [PYTHON, str(plain / "top_words.py"), *counting]
    found["top_words.py, 1 process"] = [
        *found["top_words.py"][:-1],
        "--processes",
        "1",
        "--filepath",
    ]
    if (PROGRAM / f"top_words-{os.uname().machine}.so").exists():
        native = [PYTHON, str(PROGRAM / "top_words.py"), *counting]
        found["with accelerator"] = native
        found["with accelerator, 1 p."] = [*native[:-1], "--processes", "1", "--filepath"]
    else:
        print("without the accelerator: it is not built (make accelerator)")
    for name, script in LIBRARIES.items():
        if importlib.util.find_spec(name):
            found[name] = [sys.executable, "-c", script]
        else:
            print(f"without {name}: it is not installed")
    return found | {name: ["sh", "-c", script] for name, script in SHELL.items()}


def compare(text: Path, commands: dict[str, list[str]], rounds: int) -> None:
    """Run every command `rounds` times, in turns, and print the medians."""
    results: dict[str, list[Figures]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            results[name].append(measure([*command, str(text)], text.parent))
    size = text.stat().st_size
    base = statistics.median(each.wall_s for each in results["tutorial's method"])
    print(f"\n{text.name}: {size / 1e6:.0f} MB, {rounds} rounds, medians")
    print(f"{'':24}{'MB/s':>8}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}{'x tutorial':>12}")
    for name, figures in results.items():
        wall_s, cpu_s, peak = map(statistics.median, zip(*figures, strict=True))
        print(
            f"{name:24}{size / 1e6 / wall_s:8.1f}{wall_s:9.2f}{cpu_s:9.2f}{peak / 1e6:9.0f}"
            f"{base / wall_s:12.2f}"
        )


def start_times(folder: Path, commands: dict[str, list[str]]) -> None:
    """Print how long a 2 kB text takes from start to exit, beside an empty Python program."""
    small = folder / "small.txt"
    small.write_text("a few words of a text \n" * 90)
    empty = [PYTHON, "-c", "pass"]
    ours = [*commands["top_words.py"], str(small)]
    walls: list[list[float]] = [[], []]
    for _ in range(15):
        for wall, command in zip(walls, (empty, ours), strict=True):
            wall.append(measure(command, folder).wall_s)
    pass_s, ours_s = map(statistics.median, walls)
    print(f"\n2 kB: {ours_s * 1e3:.0f} ms, {ours_s / pass_s:.1f} x python3 -c pass")


def bound(folder: Path, commands: dict[str, list[str]], distinct: int) -> None:
    """Print what texts of many different words take, with and without the accelerator."""
    text = folder / "distinct.txt"
    with text.open("wb") as file:
        for start in range(0, distinct, 100_000):
            # Multiplying by an odd number modulo 2^40 makes every word once, in no order.
            numbers = ((n * 0x9E3779B97F) % 2**40 for n in range(start, start + 100_000))
            file.write(b"".join(b"%010x\n" % number for number in numbers))
    print(f"\n{text.stat().st_size / 1e6:.0f} MB, {distinct} different words")
    for name in ("top_words.py", "with accelerator"):
        if name in commands:
            figures = measure([*commands[name], str(text)], folder)
            print(f"{name:24}{figures.wall_s:8.1f} s{figures.peak_bytes / 1e6:8.0f} MB")


def texts(folder: Path, megabytes: int) -> Iterable[Path]:
    """Make the two texts, one at a time."""
    source = random.Random(7)  # noqa: S311 - reproducible, not secret
    for name, make in (("english", english_words), ("multilingual", multilingual_words)):
        words = make(max(1000, 10_000 * megabytes), source)
        path = folder / f"{name}.txt"
        write_text(path, words, megabytes * 1_000_000, source)
        print(f"{name}: {distinct_words(path)} different words")
        yield path
        path.unlink()


def distinct_words(path: Path) -> int:
    """Return how many different pieces a text has between its spaces."""
    with path.open("rb") as file:
        return len({word for line in file for word in line.split()})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100, help="size of each text")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--distinct", type=int, default=0, help="also a text of N different words")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        commands = contestants(folder)
        start_times(folder, commands)
        for text in texts(folder, options.megabytes):
            compare(text, commands, options.rounds)
        if options.distinct:
            bound(folder, commands, options.distinct)


if __name__ == "__main__":
    main()

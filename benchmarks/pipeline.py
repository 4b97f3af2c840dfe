"""What the flow costs beside the tutorial: `python -m benchmarks.pipeline [--files N ...]`.

Small files go through a port of the tutorial's client (`benchmarks/tutorial_client.py`), through
the flow with one batch task a file, and through the flow with many files a batch task: in turn,
from a process's start to its end, on the same Azure of this machine, pools alike, beside a Prefect
server that runs already; the fewest files also once without one. Prints wall time, CPU and peak
memory of the client, and its requests by kind, each with when it was first and last answered:
the phases of a run. `--memory` prints instead how the memory grows with the number of files.
"""

import argparse
import os
import random
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.machine import POOL, PROJECT, Figures, Machine, machine

FLOW = ("flows/top_words.py",)
PACKED = (*FLOW, "--files-per-batch-task", "auto")
CLIENTS = {"tutorial": ("benchmarks/tutorial_client.py",), "flow 1:1": FLOW, "flow packed": PACKED}
OWN_SERVER = "1:1, own server"
SIZES = (3, 100, 1000)
MEMORY_SIZES = (100, 10_000)
WORDS_PER_FILE = (350, 650)


def make_texts(folder: Path, number: int) -> Path:
    """Write so many texts of 2 to 4 kB made of the words of the samples; return their folder."""
    source = random.Random(number)  # noqa: S311 - reproducible, not secret
    samples = sorted((PROJECT / "data").glob("*.txt"))
    words = [word for sample in samples for word in sample.read_text("utf-8-sig").split()]
    texts = folder / f"texts{number}"
    texts.mkdir()
    for at in range(number):
        chosen = source.choices(words, k=source.randint(*WORDS_PER_FILE))
        (texts / f"text{at:05}.txt").write_text(" ".join(chosen), encoding="utf-8")
    return texts


def median_of(runs: list[Figures]) -> Figures:
    """Return the run in the middle by wall time."""
    middle = statistics.median_low(run.wall_s for run in runs)
    return next(run for run in runs if run.wall_s == middle)


def compare(machine: Machine, texts: Path, rounds: int, *, with_own_server: bool) -> None:
    """Run every client on the same texts, in turns, and print the runs in the middle."""
    runs: dict[str, list[Figures]] = {name: [] for name in CLIENTS}
    for _ in range(rounds):
        for name, client in CLIENTS.items():
            runs[name].append(machine.run(client, texts))
            print(f"  {name}: {runs[name][-1].wall_s:.1f} s", flush=True)
    if with_own_server:
        runs[OWN_SERVER] = [machine.run(FLOW, texts, own_server=True)]
    print_table({name: median_of(figures) for name, figures in runs.items()})


def print_table(runs: Mapping[str, Figures]) -> None:
    """Print a column for each client: figures, then requests by kind with their spans."""
    base = runs["tutorial"].wall_s
    rows = {
        "wall s": [f"{run.wall_s:.1f}" for run in runs.values()],
        "wall / tutorial's": [f"{run.wall_s / base:.2f}" for run in runs.values()],
        "client CPU s": [f"{run.cpu_s:.1f}" for run in runs.values()],
        "client peak MB": [f"{run.peak_bytes / 1e6:.0f}" for run in runs.values()],
        "requests": [f"{run.num_requests}" for run in runs.values()],
        "  monitoring": [f"{run.monitoring('number'):.0f}" for run in runs.values()],
        "  kB of monitoring": [f"{run.monitoring('bytes') / 1000:.0f}" for run in runs.values()],
    }
    firsts: dict[str, float] = {}
    for run in runs.values():
        for kind, found in run.requests.items():
            firsts.setdefault(kind, found["first_s"])
    for kind in sorted(firsts, key=firsts.__getitem__):
        rows[f"  {kind}"] = [_span(run.requests.get(kind)) for run in runs.values()]
    print("\n" + " " * 34 + "".join(f"{name:>24}" for name in runs))
    for name, cells in rows.items():
        print(f"{name:34}" + "".join(f"{cell:>24}" for cell in cells))


def _span(found: Mapping[str, float] | None) -> str:
    if found is None:
        return "-"
    return f"{found['number']:.0f} @ {found['first_s']:.1f}-{found['last_s']:.1f} s"


def memory(machine: Machine, folder: Path, sizes: tuple[int, int]) -> None:
    """Print the peak memory of the flow at two numbers of files, packed."""
    peaks = []
    for number in sizes:
        run = machine.run(PACKED, make_texts(folder, number))
        peaks.append(run.peak_bytes / 1e6)
        print(f"{number} files: {run.wall_s:.1f} s, peak {peaks[-1]:.1f} MB", flush=True)
    print(f"growth: {peaks[1] - peaks[0]:.1f} MB")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help=f"only at {MEMORY_SIZES} files")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores; pool: {' '.join(POOL)}")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name, machine(Path(name)) as here:
        if options.memory:
            memory(here, Path(name), MEMORY_SIZES)
            return
        for number in options.files:
            print(f"\n{number} files, {options.rounds} rounds in turn, runs in the middle")
            texts = make_texts(Path(name), number)
            compare(here, texts, options.rounds, with_own_server=number == min(options.files))


if __name__ == "__main__":
    main()

"""One answer over all inputs, and outputs that were lost, through the flow on the emulator."""

import csv
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from flows.top_words import top_words
from flows.word_count import merging
from flows.word_count.settings import CountSettings
from prefect_azure_batch.errors import BatchTasksFailed, OutputMissing
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.settings import PoolSettings
from tests.support.paths import PROJECT
from tests.support.pipeline.programs import COUNT, in_its_place

QUICK = CountSettings(poll_interval_s=0.3)
ONCE = QUICK.model_copy(update={"max_task_retry_count": 0})
SAMPLES = sorted((PROJECT / "data").glob("taskdata*.txt"))

pytestmark = pytest.mark.usefixtures("prefect_harness", "accounts")

succeeds = pytest.mark.usefixtures("nothing_left")
fails = pytest.mark.usefixtures("only_evidence_left")


def most_common(texts: list[str], num_words: int) -> list[tuple[str, int]]:
    """Count with nothing of the node program's: a regular expression over the whole text."""
    counts: Counter[str] = Counter()
    for text in texts:
        folded = unicodedata.normalize("NFC", text.casefold()).replace("\u2019", "'")
        counts.update(re.findall(r"[^\W_]+(?:'[^\W_]+)*", folded))
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:num_words]


def write_program(folder: Path, source: str) -> PoolSettings:
    """Return settings of nodes that do something first, then maybe the counting."""
    path = folder / "program.py"
    path.write_text(f"{COUNT}import os, pathlib, urllib.request\n{source}")
    return PoolSettings(start_task_command=in_its_place(path))


@succeeds
def test_parts_and_total_are_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in parts counts like a whole one, and the total like all texts one after the other."""
    monkeypatch.setattr(merging, "FAN_IN", 2)
    sample = SAMPLES[0].read_text("utf-8-sig")
    (tmp_path / "large.txt").write_text(sample * (2_500_000 // len(sample.encode()) + 1))
    texts = [path.read_text("utf-8-sig") for path in (*SAMPLES, tmp_path / "large.txt")]
    job = QUICK.model_copy(update={"total": True, "split_bytes": 1024**2})

    result = top_words([*map(str, SAMPLES), str(tmp_path / "large.txt")], 10, job=job)

    assert list(result.words.values()) == [most_common([text], 10) for text in texts]
    assert result.total == most_common(texts, 10)
    outputs = {path.name for path in (tmp_path / "results").glob("*.txt")}
    assert outputs == {f"{path.stem}_OUTPUT.txt" for path in SAMPLES} | {
        "large_OUTPUT.txt",
        "all-inputs.txt",
    }


@succeeds
def test_total_of_bundles() -> None:
    """Bundles leave the sum of their inputs, and the total is made of these sums."""
    texts = [path.read_text("utf-8-sig") for path in SAMPLES]
    job = QUICK.model_copy(update={"total": True, "files_per_batch_task": 2})

    result = top_words([*map(str, SAMPLES)], 10, job=job)

    assert list(result.words.values()) == [most_common([text], 10) for text in texts]
    assert result.total == most_common(texts, 10)


@succeeds
def test_lost_output_is_made_again(tmp_path: Path) -> None:
    """A batch task that succeeds without leaving its output runs again, in another attempt."""
    (tmp_path / "a.txt").write_text("word")
    pool = write_program(
        tmp_path,
        f"runs = pathlib.Path({str(tmp_path / 'runs')!r})\n"
        "with runs.open('a') as file: file.write('x')\n"
        "if len(runs.read_text()) > 1: sys.exit(count())\n",
    )

    assert top_words(["a.txt"], pool=pool, job=ONCE).words == {"a.txt": [("word", 1)]}


@fails
def test_output_that_is_lost_each_time(tmp_path: Path, services: Services) -> None:
    """After two more runs without an output it is an error, and what there is of it is evidence."""
    (tmp_path / "a.txt").write_text("word")
    runs, logs = tmp_path / "runs", tmp_path / "results" / "logs" / "topNtask0"
    source = f"open({str(runs)!r}, 'a').write('x')\nprint('nothing')\nsys.stderr.write('none\\n')\n"

    with pytest.raises(OutputMissing, match=r"'a_OUTPUT\.txt' is not there.* are in logs/"):
        top_words(["a.txt"], pool=write_program(tmp_path, source), job=ONCE)

    assert runs.read_text() == "xxx"
    assert "OutputLost" in (tmp_path / "results" / "failures.md").read_text()
    assert [job.id.rpartition("-")[2] for job in services.batch.list_jobs()] == ["3"]
    found = [(logs / name).read_text() for name in ("stdout.txt", "stderr.txt")]
    assert found == ["nothing\n", "none\n"]
    with (tmp_path / "results" / "failures.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["last_line_of_stderr"], row["exit_code"]) == ("none", "0")


@succeeds
def test_damaged_bundle_is_made_again(tmp_path: Path) -> None:
    """An archive of outputs that cannot be unpacked makes its batch task run again."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(f"{name}{name}")
    pool = write_program(
        tmp_path,
        f"seen = pathlib.Path({str(tmp_path / 'seen')!r})\n"
        "if seen.exists(): sys.exit(count())\n"
        "seen.touch()\n"
        "url, sas = os.environ['TOP_WORDS_CONTAINER_URL'].split('?')\n"
        "headers = {'x-ms-blob-type': 'BlockBlob'}\n"
        "urllib.request.urlopen(urllib.request.Request(\n"
        "    f'{url}/bundle0_OUTPUT.tar?{sas}', b'no archive', headers, method='PUT'))\n",
    )
    job = ONCE.model_copy(update={"files_per_batch_task": 2})

    words = top_words(["a.txt", "b.txt"], pool=pool, job=job).words

    assert words == {"a.txt": [("aa", 1)], "b.txt": [("bb", 1)]}


@fails
def test_failed_level_ends_the_run_before_the_next(tmp_path: Path) -> None:
    """Nothing is added up while something that belongs to it has failed."""
    (tmp_path / "a.txt").write_text("word")
    (tmp_path / "bad.txt").write_text("word")
    pool = write_program(
        tmp_path,
        f"open({str(tmp_path / 'calls')!r}, 'a').write(' '.join(sys.argv) + '\\n')\n"
        "sys.exit(9 if 'bad' in sys.argv[1] else count())\n",
    )
    job = ONCE.model_copy(update={"total": True})

    with pytest.raises(BatchTasksFailed, match="exit code 9"):
        top_words(["a.txt", "bad.txt"], pool=pool, job=job)

    assert "--merge" not in (tmp_path / "calls").read_text()

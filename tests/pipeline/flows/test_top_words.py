"""The flow from end to end, on the emulator and Azurite through the real SDKs."""

import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from flows.top_words import top_words
from flows.word_count.result import WordCounts
from flows.word_count.settings import CountSettings
from prefect_azure_batch.settings import PoolSettings
from tests.support.paths import PROJECT

SAMPLES = sorted((PROJECT / "data").glob("taskdata*.txt"))
QUICK = CountSettings(poll_interval_s=0.3)

pytestmark = pytest.mark.usefixtures("prefect_harness", "nothing_left")


def count_words(path: Path, num_words: int) -> WordCounts:
    """Count with nothing of the node program's: a regular expression over the whole text."""
    text = unicodedata.normalize("NFC", path.read_text("utf-8-sig").casefold())
    for invisible in "\u00ad\u200c\u200d\u2060\ufeff":
        text = text.replace(invisible, "")
    words = re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.replace("\u2019", "'"))
    return sorted(Counter(words).items(), key=lambda pair: (-pair[1], pair[0]))[:num_words]


def test_words_of_the_samples() -> None:
    """The words of the three texts are those that another counter finds."""
    words = top_words([str(PROJECT / "data" / "taskdata*.txt")], num_words=10, job=QUICK).words

    assert words == {path.name: count_words(path, 10) for path in SAMPLES}


def test_outputs_and_logs_are_downloaded(tmp_path: Path) -> None:
    """Outputs, results and, if they are asked for, stdout and stderr are in the folder."""
    job = QUICK.model_copy(update={"keep_all_logs": True})
    top_words([str(SAMPLES[0])], output_dir=str(tmp_path / "out"), job=job)

    files = (path for path in (tmp_path / "out").rglob("*") if path.is_file())
    found = {str(path.relative_to(tmp_path / "out")) for path in files}
    name = SAMPLES[0].name
    assert found == {
        name.replace(".txt", "_OUTPUT.txt"),
        "results.json",
        "results.csv",
        ".written-by-runs",
        "logs/topNtask0/stdout.txt",
        "logs/topNtask0/stderr.txt",
    }


def test_words_are_a_table_in_the_ui() -> None:
    """The result is an artifact with one row per input and word."""
    top_words([str(SAMPLES[0])], num_words=2, job=QUICK)

    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["top-words"]))
        )
    newest = max(found, key=lambda artifact: str(artifact.created))
    assert all(word in str(newest.data) for word, _ in count_words(SAMPLES[0], 2))


def test_names_are_data(tmp_path: Path) -> None:
    """Whatever a file is called, it is counted and no part of its name is run."""
    folder = tmp_path / "awkward"
    (folder / "again").mkdir(parents=True)
    names = ["a b.txt", "it's.txt", 'q"q.txt', "$(touch x).txt", "a\nb.txt", "žluťoučký 😀.txt"]
    names += ["-n.txt", "100%.txt", "a#?&=+.txt", "`touch x`;touch x", "again/a b.txt"]
    for name in names:
        (folder / name).write_text("same same word", "utf-8")

    words = top_words([str(folder / name) for name in names], 1, job=QUICK, root=str(folder)).words

    assert list(words.values()) == [[("same", 2)]] * len(names)
    assert "again/a b.txt" in words
    assert "a%0Ab.txt" in words


def test_empty_file_has_no_words(tmp_path: Path) -> None:
    """A file without words is not an error: its output has none."""
    (tmp_path / "empty.txt").touch()

    assert top_words(["empty.txt"], job=QUICK).words == {"empty.txt": []}


def test_several_nodes_and_slots(tmp_path: Path) -> None:
    """More batch tasks than slots run on two nodes, in collections of at most 100."""
    for number in range(101):
        (tmp_path / f"{number}.txt").write_text(f"word{number}")

    pool = PoolSettings(dedicated_nodes=2)
    words = top_words([str(tmp_path / "*.txt")], pool=pool, job=QUICK).words

    assert {name: counts[0][0] for name, counts in words.items()} == {
        f"{number}.txt": f"word{number}" for number in range(101)
    }


def test_failing_program_is_repeated(tmp_path: Path) -> None:
    """Batch repeats a program that fails, and what its second run does counts."""
    program = tmp_path / "second_time_lucky.py"
    program.write_text(
        "import os, pathlib, sys\n"
        "seen = pathlib.Path(os.environ['AZ_BATCH_NODE_SHARED_DIR'], 'seen')\n"
        "if not seen.exists():\n"
        "    seen.touch()\n"
        "    sys.exit(1)\n"
        "pathlib.Path(sys.argv[2]).write_text('lucky')\n"
    )

    job = QUICK.model_copy(update={"program": str(program)})
    (output,) = top_words([str(SAMPLES[0])], job=job).outputs.values()

    assert Path(output.path).read_text() == "lucky"


def test_delay_and_start_task_command(tmp_path: Path) -> None:
    """The extra start-task command runs on the node, and the delay before the counting."""
    mark = tmp_path / "mark"
    pool = PoolSettings(start_task_command=f"echo ready > '{mark}'")

    top_words([str(SAMPLES[0])], pool=pool, job=QUICK.model_copy(update={"delay_s": 0.5}))

    assert mark.read_text() == "ready\n"

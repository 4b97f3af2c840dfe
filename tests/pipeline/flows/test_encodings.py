"""Texts that are not UTF-8, through the flow: alone, in bundles, in parts, compressed, as blobs."""

import csv
import gzip
import json
from pathlib import Path
from uuid import uuid4

import pytest
from azure.storage.blob import BlobServiceClient

from flows.top_words import top_words
from flows.word_count.settings import CountSettings
from prefect_azure_batch.errors import BatchTasksFailed

LATIN = "café façade café naïve\n"
MEBIBYTE = 1024**2
REPEATED = 2 * MEBIBYTE // len(LATIN)
QUICK = CountSettings(poll_interval_s=0.3, max_task_retry_count=0)
IN_ALL_WAYS = QUICK.model_copy(
    update={"files_per_batch_task": 2, "split_bytes": MEBIBYTE, "total": True}
)

pytestmark = pytest.mark.usefixtures("prefect_harness", "accounts")


@pytest.fixture
def texts(tmp_path: Path) -> list[str]:
    """Texts in Windows-1252: small, compressed, and one that is split; and one in ASCII."""
    text = LATIN.encode("cp1252")
    (tmp_path / "small.txt").write_bytes(text)
    (tmp_path / "packed.txt.gz").write_bytes(gzip.compress(text))
    (tmp_path / "large.txt").write_bytes(text * REPEATED)
    (tmp_path / "ascii.txt").write_bytes(b"plain")
    return ["small.txt", "packed.txt.gz", "large.txt", "ascii.txt"]


@pytest.mark.usefixtures("nothing_left")
def test_undecodable_bytes_are_counted_whatever_way_a_text_goes(
    texts: list[str], tmp_path: Path
) -> None:
    """Each input has its number in the result and in the files; the total has their sum."""
    result = top_words(texts, job=IN_ALL_WAYS)

    bad = {"small.txt": 4, "packed.txt.gz": 4, "large.txt": 4 * REPEATED}
    assert result.undecodable == bad
    folder = tmp_path / "results"
    assert json.loads((folder / "results.json").read_text())["undecodable_bytes"] == bad
    with (folder / "results.csv").open(newline="") as file:
        rows = {(row["input"], row["undecodable_bytes"]) for row in csv.DictReader(file)}
    whole = sum(bad.values())
    numbers = {"": whole, **bad, "ascii.txt": 0}
    assert rows == {(name, str(number)) for name, number in numbers.items()}
    assert f"\nUndecodable bytes: {whole}\n" in (folder / "all-inputs.txt").read_text()
    assert {path.name for path in folder.glob("*_OUTPUT*")} == {
        "small_OUTPUT.txt",
        "packed.txt.gz_OUTPUT.txt",
        "large_OUTPUT.txt",
        "ascii_OUTPUT.txt",
    }


@pytest.mark.usefixtures("nothing_left")
def test_a_named_encoding_is_decoded_exactly(texts: list[str], tmp_path: Path) -> None:
    """With it the words are those of the text, in every way, and nothing is reported."""
    job = IN_ALL_WAYS.model_copy(update={"encoding": "cp1252", "on_undecodable": "refuse"})

    result = top_words(texts, 3, job=job)

    once = [("café", 2), ("façade", 1), ("naïve", 1)]
    many = [(word, number * REPEATED) for word, number in once]
    assert result.words == {
        "small.txt": once,
        "packed.txt.gz": once,
        "large.txt": many,
        "ascii.txt": [("plain", 1)],
    }
    assert result.total == [(word, number * (REPEATED + 2)) for word, number in once]
    assert result.undecodable == {}
    assert "Undecodable" not in (tmp_path / "results" / "small_OUTPUT.txt").read_text()


@pytest.mark.usefixtures("nothing_left")
def test_wide_text_is_never_cut(tmp_path: Path) -> None:
    """UTF-16 larger than a part is counted whole, without a character lost."""
    (tmp_path / "wide.txt").write_bytes((LATIN * (MEBIBYTE // len(LATIN))).encode("utf-16"))
    job = IN_ALL_WAYS.model_copy(update={"encoding": "utf-16"})

    result = top_words(["wide.txt"], 1, job=job)

    assert result.words == {"wide.txt": [("café", 2 * (MEBIBYTE // len(LATIN)))]}
    assert result.undecodable == {}


@pytest.mark.usefixtures("only_evidence_left")
def test_undecodable_bytes_are_refused_if_asked(texts: list[str]) -> None:
    """Then such an input fails, with their number and what to do; the others have outputs."""
    job = QUICK.model_copy(update={"on_undecodable": "refuse"})

    with pytest.raises(
        BatchTasksFailed, match=r"'input/small\.txt': 4 bytes are not utf-8: name its encoding"
    ):
        top_words([texts[0], texts[3]], job=job)

    assert Path("results/ascii_OUTPUT.txt").is_file()
    assert not Path("results/small_OUTPUT.txt").exists()


def test_a_compressed_blob_has_a_plain_output(
    blob_service: BlobServiceClient, tmp_path: Path
) -> None:
    """Its output, too, is called plain text."""
    name = f"texts-{uuid4().hex}"
    with blob_service.create_container(name) as container:
        container.upload_blob("folder/b.txt.gz", gzip.compress(b"word word"))

        result = top_words([f"az://{name}/folder"], job=QUICK)

        container.delete_container()
    assert list(result.words.values()) == [[("word", 2)]]
    (output,) = (tmp_path / "results").rglob("*_OUTPUT*")
    assert output.name == "b.txt.gz_OUTPUT.txt"

"""Before anything is created: inputs in Blob Storage, and a run that only plans."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from azure.storage.blob import BlobServiceClient
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from flows.top_words import top_words
from flows.word_count.settings import CountSettings
from flows.word_count.workload import WordCount
from prefect_azure_batch.errors import BadInput
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.settings import CleanUpPolicy, Policy, PoolSettings, Selection
from prefect_azure_batch.staging.blob_inputs import gather_inputs
from prefect_azure_batch.staging.local_inputs import Search
from tests.support.contexts import WORD_COUNT

pytestmark = pytest.mark.usefixtures("prefect_harness", "nothing_left")

QUICK = CountSettings(poll_interval_s=0.3)
TEXTS = {
    "books/2019/a.txt": b"one one two",
    "books/2020/a.txt": b"three three two",
    "books/b.txt": b"four four two",
    "books/cover.png": b"\x89PNG\0",
    "papers/paper.txt": b"%PDF-1.4\n1 0 obj\n",
    "wide/wide.txt": "\u4e2d\u6587".encode("utf-16"),
    "late/late.txt": b"text " * 4000 + b"\0",
    "other/c.txt": b"five",
}


@pytest.fixture
def texts(nothing_left: None, blob_service: BlobServiceClient) -> Iterator[str]:  # noqa: ARG001 - first
    """A container of somebody's texts, and of what is not a text."""
    name = f"texts-{uuid4().hex}"
    with blob_service.create_container(name) as container:
        for path, content in TEXTS.items():
            container.upload_blob(path, content)
        yield name
        container.delete_container()


def test_text_in_blob_storage(texts: str, services: Services) -> None:
    """Blobs are counted where they are, one by one or many together, and nothing is uploaded."""
    job = QUICK.model_copy(update={"files_per_batch_task": 2, "total": True})
    selection = Selection(include=("*.txt",))

    result = top_words(
        [f"az://{texts}/books"],
        1,
        job=job,
        clean_up=CleanUpPolicy(containers=Policy.NEVER),
        selection=selection,
    )

    assert result.total == [("two", 3)]
    assert result.words == {
        "2019/a.txt": [("one", 2)],
        "2020/a.txt": [("three", 2)],
        "b.txt": [("four", 2)],
    }
    assert contents_and_removal(services, "-input") == ["bundles/bundle0.jsonl"]


def contents_and_removal(services: Services, ending: str) -> list[str]:
    """Delete the containers that a run has kept, and return what one of them held."""
    names = []
    for container in services.blobs.list_containers(name_starts_with="tw-"):
        client = services.blobs.get_container_client(str(container.name))
        if str(container.name).endswith(ending):
            names = list(client.list_blob_names())
        client.delete_container()
    return names


@pytest.mark.parametrize(
    ("path", "exclude", "message"),
    [
        ("/nothing", (), r"no blob .* begins with 'nothing'"),
        ("-absent/books", (), "no container"),
        ("/books/cover", (), r"left out, 1: .*books/cover\.png' is binary"),
        ("/books/cover.png", (), r"books/cover\.png' is binary"),
        ("/papers/", (), r"papers/paper\.txt' is binary \(a PDF\)"),
        ("/wide/", (), r"wide/wide\.txt' is UTF-16 text"),
        ("/late/", (), r"late/late\.txt' is binary"),
        ("/books/", ("*",), r"left by selection\.include and selection\.exclude"),
    ],
)
def test_blobs_that_cannot_be_counted(
    texts: str, services: Services, path: str, exclude: tuple[str, ...], message: str
) -> None:
    """A prefix that stands for nothing, or for what is not a text, is named with the reason."""
    url = f"az://{texts}{path}"

    with pytest.raises(BadInput, match=message) as raised:
        gather_inputs(services, WORD_COUNT, [url], Search(Selection(exclude=exclude)))

    assert texts in str(raised.value)


def test_blob_named_outright(texts: str, services: Services) -> None:
    """The whole name of a blob stands for it, whatever the selection leaves out."""
    selection = Selection(exclude=("*.txt",))
    url = f"az://{texts}/books/2019/a.txt"

    (found,) = gather_inputs(services, WORD_COUNT, [url], Search(selection))

    assert (found.name, found.size) == ("a.txt", len(TEXTS["books/2019/a.txt"]))


def test_archived_blob(texts: str, services: Services) -> None:
    """A blob that would take hours to become readable is refused before the run begins."""
    blob = services.blobs.get_blob_client(texts, "books/b.txt")
    blob.set_standard_blob_tier("Archive")

    with pytest.raises(BadInput, match=r"books/b\.txt.*archive tier"):
        gather_inputs(services, WORD_COUNT, [f"az://{texts}/books/b"], Search())


def test_large_blobs_are_looked_into(texts: str, services: Services) -> None:
    """Whether a blob that is to be split is compressed, and cannot be, is found out for each."""
    for number in range(20):
        services.blobs.get_blob_client(texts, f"many/{number:02}").upload_blob(b"text")
    large = gzip.compress(os.urandom(2 * 1024**2).hex().encode())
    services.blobs.get_blob_client(texts, "many/03").upload_blob(large, overwrite=True)
    workload = WordCount(settings=CountSettings(split_bytes=1024**2))

    found = gather_inputs(services, workload, [f"az://{texts}/many/"], Search())

    assert [source.name for source in found if source.is_gzip] == ["03"]


def test_plan_only_creates_nothing(tmp_path: Path, services: Services) -> None:
    """A run that only plans leaves the accounts as they are, and says the numbers."""
    for number in range(10):
        (tmp_path / f"{number}.txt").write_text("word " * 1000)
    pool = PoolSettings(dedicated_nodes=3, node_price_per_hour=0.5)
    job = CountSettings(files_per_batch_task=5, total=True, max_wall_clock_time_s=3600)

    result = top_words([str(tmp_path / "*.txt")], pool=pool, job=job, plan_only=True)

    assert (result.words, result.total) == ({}, None)
    assert result.plan["inputs"] == "10 (50.0 kB)"
    assert list(services.blobs.list_containers()) == []
    plan = newest_plan()
    assert "| inputs | 10 (50.0 kB) |" in plan
    assert "3: 2 for many files each, 1 that add up counts" in plan
    assert "1.50 at most" in plan


def newest_plan() -> str:
    """Return the text of the newest plan in Prefect's UI."""
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["plan"]))
        )
    return str(max(found, key=lambda artifact: str(artifact.created)).data)

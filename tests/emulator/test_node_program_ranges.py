"""Ranges of a blob in Azurite, counted by the node program with a SAS that can only read."""

import random
from pathlib import Path

from azure.storage.blob import ContainerClient

from tests.support.counted_words import random_text, reference_count
from tests.support.counts_files import parse
from tests.support.emulator.blobs import blob
from tests.support.node_program import run_program


def test_ranges_of_a_blob_merge_to_the_whole(tmp_path: Path, container: ContainerClient) -> None:
    """The merged counts of five ranges, cut anywhere, are those of the reference."""
    source = random.Random(6)  # noqa: S311 - reproducible, not secret
    content = b".".join(random_text(source) for _ in range(2000))
    environment = {"TOP_WORDS_INPUT_URL": blob(container, "a text.txt", content)}
    cuts = sorted(source.sample(range(1, len(content)), 4))
    bounds = [f"{a}-{b - 1}" for a, b in zip([0, *cuts[:-1]], cuts, strict=True)]
    names = []

    for number, each in enumerate([*bounds, f"{cuts[-1]}-"]):
        names.append(f"{number}.gz")
        done = run_program(
            tmp_path,
            *("--range", each, "--numwords", "1", "--counts", names[-1]),
            environment=environment,
        )
        assert (done.returncode, done.stderr) == (0, b"")
    run_program(tmp_path, "--merge", *names, "--numwords", "1", "--counts", "all.gz")

    assert dict(parse(tmp_path / "all.gz")) == reference_count(content)

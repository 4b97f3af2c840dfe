"""Names of outputs: their suffix says that they are plain text."""

from uuid import UUID

import pytest

from flows.word_count.output_names import words_name_of
from flows.word_count.workload import WordCount
from prefect_azure_batch.errors import BadInput
from prefect_azure_batch.model.run import new_run
from prefect_azure_batch.model.tasks import InputFile
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings
from word_counter.output import default_output

RUN = new_run(UUID(int=1), 1, JobSettings(), CleanUpPolicy())


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("b.txt", "b_OUTPUT.txt"),
        ("b.txt.gz", "b.txt.gz_OUTPUT.txt"),
        ("b.gz", "b.gz_OUTPUT.txt"),
        ("B.TXT.GZ", "B.TXT.GZ_OUTPUT.txt"),
        ("b.tgz", "b.tgz_OUTPUT.txt"),
        ("text.zst", "text.zst_OUTPUT.txt"),
        ("b.md", "b_OUTPUT.md"),
        ("README", "README_OUTPUT"),
        (".gz", ".gz_OUTPUT"),
    ],
)
def test_suffixes(name: str, output: str) -> None:
    """No output is called compressed; the node program calls them the same."""
    assert words_name_of(name) == output
    assert str(default_output(f"/folder/{name}")) == output


def test_a_text_and_the_same_compressed_have_outputs_of_their_own() -> None:
    """They are planned side by side."""
    inputs = [InputFile(name, 1, name) for name in ("b.txt", "b.txt.gz", "b.gz")]

    (level,) = WordCount().plan(RUN, inputs, PoolSettings())

    assert len({planned.results for planned in level}) == 3


def test_two_inputs_never_share_an_output() -> None:
    """If their names would make one, the run is refused before it begins."""
    inputs = [InputFile(name, 1, name) for name in ("b.gz", "b.gz.txt")]

    with pytest.raises(BadInput, match=r"'b\.gz' and 'b\.gz\.txt' would both have the output"):
        WordCount().plan(RUN, inputs, PoolSettings())

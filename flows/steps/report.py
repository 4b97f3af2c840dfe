"""The result in Prefect's UI: one table of words."""

from collections.abc import Mapping

from prefect.artifacts import create_table_artifact

from flows.runs import Run
from flows.services import step
from flows.work import WordCounts

ARTIFACT_KEY = "top-words"


@step("publish the words")
def publish_words(run: Run, words: Mapping[str, WordCounts]) -> None:
    """Write the table artifact `top-words`; a new version of it each time."""
    create_table_artifact(
        key=ARTIFACT_KEY,
        table=table_rows(words),
        description=f"Most frequent words, flow run {run.flow_run_id}",
    )


def table_rows(words: Mapping[str, WordCounts]) -> list[dict[str, str | int]]:
    """Return one row per input and word; an input without words has one row that says so."""
    return [
        {"input": name, "word": word, "count": count}
        for name, counts in words.items()
        for word, count in counts or [("(no words)", 0)]
    ]

"""The result for people: artifacts in Prefect's UI, and files beside the outputs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TextIO

from azure.core.exceptions import HttpResponseError
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from prefect_azure_batch.collecting.summary import (
    NodeUse,
    Summary,
    as_markdown,
    bounds,
    node_use,
    page_rows,
    write_csv,
    write_json,
)
from prefect_azure_batch.model.disk_errors import naming
from prefect_azure_batch.model.output_record import CSV_NAME, JSON_NAME
from prefect_azure_batch.service.context import WorkContext
from prefect_azure_batch.service.refusals import error_code
from prefect_azure_batch.service.step import step

SUMMARY_KEY = "summary"


on_results: ContextVar[Callable[[Path], object] | None] = ContextVar("on_results", default=None)
"""Is called with the folder when the files are there; the run still has it."""


@contextmanager
def _replaced(path: Path) -> Iterator[TextIO]:
    """Write a file anew: whoever has an earlier one open keeps that."""
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@step("publish results")
def publish_results(context: WorkContext, summary: Summary) -> None:
    """Write all results as JSON and CSV into the folder, and as artifacts: a table, a summary.

    Args:
        context: whose folder; files of these names are replaced.
        summary: what was found, and what it took.

    Raises:
        ConfigurationError: the folder takes no more.
    """
    path = context.folder / JSON_NAME
    with naming(path), _replaced(path) as file:
        write_json(summary, file)
    path = context.folder / CSV_NAME
    with naming(path), _replaced(path) as file:
        write_csv(summary, file)
    # The files first: they are there even if Prefect's server is lost.
    result = summary.result
    create_table_artifact(
        key=result.key,
        table=[dict(row) for row in page_rows(result)],
        description=f"{result.table_title} of each input{bounds(result)}",
    )
    create_markdown_artifact(
        key=SUMMARY_KEY,
        markdown=as_markdown(summary),
        description="What was found, and what it took",
    )
    if listener := on_results.get():
        listener(context.folder)


@step("see what the nodes were used for")
def estimate_node_use(context: WorkContext, seconds: float) -> NodeUse | None:
    """Estimate what the run's nodes were used for; None if the pool is not its own, or gone.

    Args:
        context: whose pool, and its price.
        seconds: since the pool was created.
    """
    if context.pool.existing_pool_id:
        return None
    try:
        found = context.batch.get_pool(context.run.pool_id)
    except HttpResponseError as error:
        # All outputs are there: that somebody deleted the pool meanwhile fails no run.
        if error_code(error) != "PoolNotFound":
            raise
        return None
    num_nodes = (found.current_dedicated_nodes or 0) + (found.current_low_priority_nodes or 0)
    return node_use(num_nodes, seconds, context.pool.node_price_per_hour)

"""The result for people: artifacts in Prefect's UI, and files beside the outputs."""

from pathlib import Path

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.runs import Run
from flows.services import Services, step
from flows.settings import PoolSettings
from flows.summary import (
    NodeUse,
    Summary,
    as_markdown,
    bounds_told,
    node_use,
    shown_rows,
    write_csv,
    write_json,
)

TABLE_KEY = "top-words"
SUMMARY_KEY = "summary"
JSON_NAME = "results.json"
CSV_NAME = "results.csv"


@step("publish results")
def publish_results(services: Services, summary: Summary, folder: Path) -> None:  # noqa: ARG001 - checked by step
    """Write the artifacts `top-words` and `summary`, and all results as JSON and CSV.

    Args:
        services: whose run goes on.
        summary: what was found, and what it took.
        folder: where the outputs are; files of these names are replaced.
    """
    create_table_artifact(
        key=TABLE_KEY,
        table=shown_rows(summary.result),
        description=f"Most frequent words, flow run {summary.run_id}{bounds_told(summary.result)}",
    )
    create_markdown_artifact(key=SUMMARY_KEY, markdown=as_markdown(summary))
    with (folder / JSON_NAME).open("w", encoding="utf-8") as file:
        write_json(summary, file)
    with (folder / CSV_NAME).open("w", encoding="utf-8", newline="") as file:
        write_csv(summary, file)


@step("see what the nodes were used for")
def estimate_node_use(
    services: Services, run: Run, pool: PoolSettings, seconds: float
) -> NodeUse | None:
    """Estimate what the run's nodes were used for; None if the pool is not its own.

    Args:
        services: clients.
        run: names the pool.
        pool: the price.
        seconds: since the pool was created.
    """
    if pool.existing_pool_id:
        return None
    found = services.batch.get_pool(run.pool_id)
    num_nodes = (found.current_dedicated_nodes or 0) + (found.current_low_priority_nodes or 0)
    return node_use(num_nodes, seconds, pool.node_price_per_hour)

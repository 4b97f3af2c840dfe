"""The result for people: artifacts in Prefect's UI, and files beside the outputs."""

from pathlib import Path

from azure.core.exceptions import HttpResponseError
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from prefect_azure_batch.collecting.summary import (
    NodeUse,
    Summary,
    as_markdown,
    bounds_told,
    node_use,
    shown_rows,
    write_csv,
    write_json,
)
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.service.clients import Services, error_code, step
from prefect_azure_batch.settings import PoolSettings

TABLE_KEY = "top-words"
OUTPUTS_KEY = "outputs"
SUMMARY_KEY = "summary"
JSON_NAME = "results.json"
CSV_NAME = "results.csv"


@step("publish results")
def publish_results(services: Services, summary: Summary, folder: Path) -> None:  # noqa: ARG001 - checked by step
    """Write all results as JSON and CSV, and the artifacts `top-words` and `summary`.

    Of a program of the user's own the first one is `outputs`.

    Args:
        services: whose run goes on.
        summary: what was found, and what it took.
        folder: where the outputs are; files of these names are replaced.
    """
    with (folder / JSON_NAME).open("w", encoding="utf-8") as file:
        write_json(summary, file)
    with (folder / CSV_NAME).open("w", encoding="utf-8", newline="") as file:
        write_csv(summary, file)
    # The files first: they are there even if Prefect's server is lost.
    result = summary.result
    key, kind = (OUTPUTS_KEY, "Outputs") if result.outputs else (TABLE_KEY, "Most frequent words")
    create_table_artifact(
        key=key,
        table=shown_rows(result),
        description=f"{kind} of each input{bounds_told(result)}",
    )
    create_markdown_artifact(
        key=SUMMARY_KEY,
        markdown=as_markdown(summary),
        description="What was found, and what it took",
    )


@step("see what the nodes were used for")
def estimate_node_use(
    services: Services, run: Run, pool: PoolSettings, seconds: float
) -> NodeUse | None:
    """Estimate what the run's nodes were used for; None if the pool is not its own, or gone.

    Args:
        services: clients.
        run: names the pool.
        pool: the price.
        seconds: since the pool was created.
    """
    if pool.existing_pool_id:
        return None
    try:
        found = services.batch.get_pool(run.pool_id)
    except HttpResponseError as error:
        # All outputs are there: that somebody deleted the pool meanwhile fails no run.
        if error_code(error) != "PoolNotFound":
            raise
        return None
    num_nodes = (found.current_dedicated_nodes or 0) + (found.current_low_priority_nodes or 0)
    return node_use(num_nodes, seconds, pool.node_price_per_hour)

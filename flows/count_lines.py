"""An example of a flow on the engine: how many lines many files have, counted on Azure Batch.

Requires: an Azure Batch and an Azure Storage account in the environment, or in `.env`.
"""

import json
from pathlib import Path

from prefect import flow

from prefect_azure_batch import PoolSettings, batch_map


@flow(name="count-lines")
def count_lines(inputs: list[str], output_dir: str = "results", spot_nodes: int = 1) -> int:
    """Return the number of lines of all inputs together.

    Args:
        inputs: Files, folders and globs.
        output_dir: Folder for the outputs, one JSON file for each input.
        spot_nodes: How many cheap nodes work on them.
    """
    rows = batch_map(
        "tasks_node/line_stats.py",
        inputs,
        output_suffix=".json",
        output_dir=output_dir,
        pool=PoolSettings(dedicated_nodes=0, spot_nodes=spot_nodes),
    )
    return sum(json.loads(Path(row.path).read_text("utf-8"))["lines"] for row in rows)

"""CSV files: no cell is a formula, and none holds a control character."""

import csv
from collections.abc import Iterable, Sequence
from typing import TextIO

from prefect_azure_batch.plain_text import csv_cell


def write_rows(file: TextIO, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write the names of columns, then rows.

    Args:
        file: opened with `newline=""`.
        columns: their names.
        rows: numbers and text; text is made safe.
    """
    writer = csv.writer(file)
    writer.writerow(columns)
    writer.writerows(map(csv_cell, row) for row in rows)

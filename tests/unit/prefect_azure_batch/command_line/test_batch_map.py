"""The table that `batch-map` prints."""

from prefect_azure_batch.command_line.batch_map import result_table
from prefect_azure_batch.model.result import OutputRow, Outputs


def test_table_of_outputs() -> None:
    """The first inputs have a row each; names are not markup."""
    rows = (OutputRow(f"/in/{name}", name, f"/out/{name}_OUTPUT", 5) for name in ("[a]", "b", "c"))

    columns = result_table(Outputs(tuple(rows)), 2).columns

    assert [column.header for column in columns] == ["Input", "Output", "Bytes", "Folder", "Source"]
    assert [[*column.cells] for column in columns] == [
        [r"\[a]", "b"],
        [r"\[a]_OUTPUT", "b_OUTPUT"],
        ["5", "5"],
        ["/out", "/out"],
        [r"/in/\[a]", "/in/b"],
    ]

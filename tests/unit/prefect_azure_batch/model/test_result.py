"""The outputs of a run, one for each input."""

from pathlib import Path

from prefect_azure_batch.model.result import OutputRow, Outputs, outputs_of
from prefect_azure_batch.model.tasks import BlobPlace, InputFile, PlannedTask

ROWS = (
    OutputRow("/in/a.txt", "a.txt", "/out/a_OUTPUT.txt", 12),
    OutputRow("az://texts/b.txt", "b.txt", "/out/b_OUTPUT.txt", 0),
)
OUTPUTS = Outputs(ROWS)
CELLS = {"output": "a_OUTPUT.txt", "bytes": 12, "folder": "/out", "source": "/in/a.txt"}


def test_outputs_are_a_sequence_of_rows() -> None:
    """Rows can be counted, gone through, and taken by number."""
    assert (len(OUTPUTS), OUTPUTS.num_inputs) == (2, 2)
    assert list(OUTPUTS) == list(ROWS)
    assert (OUTPUTS[-1], OUTPUTS[:1]) == (ROWS[1], ROWS[:1])


def test_rows_of_a_page_are_of_the_first_inputs() -> None:
    """A page shows as many inputs as it is asked for."""
    assert list(OUTPUTS.page_rows(1)) == [{"input": "a.txt", **CELLS}]
    assert len(list(OUTPUTS.page_rows(5))) == 2
    assert OUTPUTS.page_columns() == ("Input", "Output", "Bytes", "Folder", "Source")


def test_rows_of_the_csv_file() -> None:
    """The file has all inputs, and a column for each cell."""
    assert OUTPUTS.csv_columns() == ("input", "output", "bytes", "folder", "source")
    assert list(OUTPUTS.csv_rows()) == [
        ("a.txt", "a_OUTPUT.txt", 12, "/out", "/in/a.txt"),
        ("b.txt", "b_OUTPUT.txt", 0, "/out", "az://texts/b.txt"),
    ]


def test_items_of_the_json_file() -> None:
    """Each input has its output; there is nothing beside them."""
    assert dict(OUTPUTS.json_items())["a.txt"] == CELLS
    assert OUTPUTS.json_fields() == {}


def test_outputs_of_a_run(tmp_path: Path) -> None:
    """What they hold is not looked at, only how much it is; they may be empty."""
    blob = BlobPlace("texts", "deep/a")
    inputs = [InputFile("b", 1, path="/in/b"), InputFile("a", 1, blob=blob)]
    planned = [
        PlannedTask(f"task-{name}", (name,), (), (), (f"{name}_OUTPUT",), (f"{name}_OUTPUT",))
        for name in ("b", "a")
    ]
    for name, size in (("b", 3), ("a", 0)):
        (tmp_path / f"{name}_OUTPUT").write_bytes(bytes(size))

    assert list(outputs_of(tmp_path, inputs, planned)) == [
        OutputRow("/in/b", "b", str(tmp_path / "b_OUTPUT"), 3),
        OutputRow("az://texts/deep/a", "a", str(tmp_path / "a_OUTPUT"), 0),
    ]

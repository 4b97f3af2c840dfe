"""What a flow run of `batch_map` is called."""

import pytest

from prefect_azure_batch.batch_map_flow import run_name


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("fit.py", "fit.py on a.txt, b.txt"),
        ("folder/fit.py --fast 3", "fit.py on a.txt, b.txt"),
        ("'folder/my fit.py' --fast", "my fit.py on a.txt, b.txt"),
        # The flow refuses these, under a name all the same.
        ("", "nothing on a.txt, b.txt"),
        ("  ", "nothing on a.txt, b.txt"),
        ("fit.py 'it", "fit.py 'it on a.txt, b.txt"),
    ],
)
def test_flow_run_is_called_by_program_and_inputs(command: str, name: str) -> None:
    """Arguments and folders are left out."""
    assert run_name(command, ["a.txt", "b.txt"]) == name


def test_long_names_are_cut() -> None:
    """Thousands of inputs do not make a name without an end."""
    assert len(run_name("fit.py", ["a.txt"] * 1000)) == 120

"""Where outputs go: each has a place of its own in the output folder."""

import os
from pathlib import Path

import pytest

from prefect_azure_batch.engine.output_names import check_output_names, ignores_case, output_names
from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.model.tasks import PlannedTask


def a_task(number: int, output: str, *, unpacks_to: tuple[str, ...] = ()) -> PlannedTask:
    """Return a batch task with one input and one output."""
    return PlannedTask(f"t{number}", (f"in{number}",), (), (), (output,), (output,), "", unpacks_to)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (["a", "a"], "'in0' and 'in1' would have one output, 'a'"),
        (["a", "a/b"], "'a' of 'in0' would be a file and a folder, for output 'a/b'"),
        (["x/a/b/c", "x/a"], "'x/a' of 'in1' would be a file and a folder"),
        (["/etc/x"], "'/etc/x' of 'in0' has no place"),
        (["a/../../x"], "has no place"),
        (["results.json"], "has no place"),
        (["logs/t0/stderr.txt"], "has no place"),
        ([".written-by-runs"], "has no place"),
    ],
)
def test_outputs_that_clash(tmp_path: Path, outputs: list[str], message: str) -> None:
    """No output takes the place of another, of a report, or of anything beside the folder."""
    with pytest.raises(ConfigurationError, match=message):
        check_output_names([[a_task(*pair) for pair in enumerate(outputs)]], tmp_path)


def test_outputs_with_places_of_their_own(tmp_path: Path) -> None:
    """Folders, letter case and a total beside them are no clash on a disk that tells them apart."""
    names = ["a", "A", "b/a", "b/A", "logs/a.txt", "b/results.json"]

    check_output_names([[a_task(*pair) for pair in enumerate(names)]], tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_disk_that_ignores_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On such a disk names that differ in case only are one file, and refused."""
    exists = os.path.lexists
    lowered = lambda path: any(  # noqa: E731 - what such a disk answers
        str(path).casefold() == str(each).casefold() for each in Path(path).parent.iterdir()
    )
    monkeypatch.setattr(os.path, "lexists", lowered)

    assert ignores_case(tmp_path)
    with pytest.raises(ConfigurationError, match=r"'a' and 'A' are one file .* letter case"):
        check_output_names([[a_task(0, "a"), a_task(1, "A")]], tmp_path)
    monkeypatch.setattr(os.path, "lexists", exists)
    assert not ignores_case(tmp_path)


def test_archives_are_not_in_the_folder() -> None:
    """What an archive holds is there instead."""
    levels = [[a_task(0, "x.tar", unpacks_to=("a",))]]

    assert list(output_names(levels)) == [("a", "in0")]

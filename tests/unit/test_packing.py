"""Which batch tasks are made of which inputs."""

from uuid import UUID

import pytest

from flows.packing import plan_batch_tasks
from flows.runs import Run, new_run
from flows.settings import CleanUpPolicy, JobSettings
from flows.work import BlobPlace, InputFile, NodeFile

A_FILE = InputFile("a.txt", 1)


@pytest.fixture
def run() -> Run:
    """A run."""
    return new_run(UUID(int=0xABC), 1, JobSettings(), CleanUpPolicy())


def test_one_batch_task_per_input(run: Run) -> None:
    """By default every input has a batch task of its own, numbered as in the tutorial."""
    planned = plan_batch_tasks(run, [A_FILE, InputFile("b", 2)], 3, JobSettings())

    assert [(item.id, item.inputs, item.results) for item in planned] == [
        ("topNtask0", ("a.txt",), ("a_OUTPUT.txt",)),
        ("topNtask1", ("b",), ("b_OUTPUT",)),
    ]


def test_uploaded_input_is_read_from_the_input_container(run: Run) -> None:
    """A file of this machine is read from where it is uploaded to, a blob from where it is."""
    blob = BlobPlace("texts", "deep/b.txt")
    planned = plan_batch_tasks(run, [A_FILE, InputFile("b.txt", 1, blob=blob)], 3, JobSettings())

    assert [item.files for item in planned] == [
        (NodeFile(BlobPlace(run.input_container, "a.txt"), "a.txt"),),
        (NodeFile(blob, "b.txt"),),
    ]


def test_delay_is_given_only_if_asked_for(run: Run) -> None:
    """A delay of 0 leaves no argument; any other is given in seconds."""
    plain = plan_batch_tasks(run, [A_FILE], 3, JobSettings())[0]
    delayed = plan_batch_tasks(run, [A_FILE], 3, JobSettings(delay_s=1.5))[0]

    assert "--delay" not in plain.arguments
    assert delayed.arguments[-2:] == ("--delay", "1.5")

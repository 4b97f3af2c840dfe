"""What the command line says of an error."""

import httpx

from prefect_azure_batch.command_line.app import told
from prefect_azure_batch.errors import PipelineError


def test_error_with_its_notes() -> None:
    """An error of ours is its text and its notes."""
    error = PipelineError("no luck")
    error.add_note("kept until tomorrow")

    assert list(told(error)) == ["error: no luck", "kept until tomorrow"]


def test_error_without_words() -> None:
    """An error that says nothing is told by its name."""
    assert list(told(AssertionError())) == ["error: AssertionError"]


def test_lost_server_hides_no_error_of_ours() -> None:
    """Where Prefect's server is lost after an error, both are told, with how to go on."""
    first = PipelineError("no luck")
    first.add_note("resume=tw-1")
    second = httpx.ConnectError("refused")
    second.__context__ = first

    assert list(told(second)) == [
        "error: Prefect's server (PREFECT_API_URL) could not be reached: refused",
        "after: no luck",
        "resume=tw-1",
    ]

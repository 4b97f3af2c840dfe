"""The command line."""

from pathlib import Path

import pytest

from tests.support.blob_servers import ReadableBlob
from tests.support.node_program import assert_refused, run_program


@pytest.mark.parametrize(
    "arguments",
    [
        ("--numwords", "1"),
        ("--filepath", "-"),
        ("--filepath", "-", "--numwords", "0"),
        ("--filepath", "-", "--numwords", "-3"),
        ("--filepath", "-", "--numwords", "many"),
        ("--filepath", "-", "--numwords", "1", "--words", "bytes"),
        ("--filepath", "-", "--numwords", "1", "--delay", "-1"),
        ("--filepath", "-", "--numwords", "1", "--delay", "nan"),
        ("--filepath", "-", "--numwords", "1", "--surprise\nline"),
        ("--file", "-", "--numwords", "1"),
    ],
)
def test_wrong_arguments_exit_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Arguments that are missing, unknown or out of range are a usage error; nothing is written."""
    assert_refused(run_program(tmp_path, *arguments), 2, "--")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--filepath", "-", "--bundle", "b.tar"),
        ("--manifest", "m.jsonl", "--output", "out"),
        ("--manifest", "m.jsonl", "--filepath", "-"),
        ("--manifest", "m.jsonl", "--processes", "0"),
    ],
)
def test_arguments_that_do_not_go_together_exit_2(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """What has no meaning beside a manifest, or without one, is a usage error."""
    assert_refused(run_program(tmp_path, *arguments, "--numwords", "1"), 2, "--")


@pytest.mark.parametrize("bounds", ["", "1", "-5", "5-4", "a-b", "1-2-3", "٣-٤"])
def test_a_range_that_is_none_exits_2(tmp_path: Path, server: ReadableBlob, bounds: str) -> None:
    """Anything but FIRST-LAST or FIRST- is a usage error."""
    done = run_program(
        tmp_path,
        *(f"--range={bounds}", "--numwords", "1"),
        environment={"TOP_WORDS_INPUT_URL": server.url},
    )

    assert_refused(done, 2, "--range")

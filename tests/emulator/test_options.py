"""Options of `python -m local_azure up` that cannot work: refused before a service starts."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import PROJECT

UP = [sys.executable, "-m", "local_azure", "up"]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (("--env-file", "nowhere/local.env"), 1, "--env-file nowhere/local.env: No such file"),
        (("--env-file", "."), 1, "--env-file .: Is a directory"),
        (("--batch-port", "65536"), 2, "argument --batch-port: invalid port value: '65536'"),
        (("--blob-port", "-1"), 2, "argument --blob-port: invalid port value: '-1'"),
    ],
)
def test_options_that_cannot_work(
    tmp_path: Path, arguments: tuple[str, ...], exit_code: int, message: str
) -> None:
    """They are refused before either service starts, with the name of the option."""
    # There is no Node.js on this path: a service could not start.
    environment = {"PYTHONPATH": str(PROJECT), "PATH": ""}

    done = subprocess.run(
        [*UP, *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == exit_code
    assert message in done.stderr


@pytest.mark.parametrize("name", ["http://x", "x:80", "a b", "", "-", "x/y"])
def test_host_names_that_are_none(name: str) -> None:
    """A scheme, a port and a path are not part of a host's name."""
    done = subprocess.run(
        [*UP, f"--allow-host={name}"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "is not a host name or address without a port" in done.stderr

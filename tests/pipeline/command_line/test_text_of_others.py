"""What files are called and programs print is shown by a command, and never obeyed."""

import csv
import json
import re
from pathlib import Path

import pytest

from local_azure.stack import LocalAzure
from tests.pipeline.command_line.test_batch_map import COMMAND
from tests.pipeline.command_line.test_command_line import SCRIPT, run
from tests.support.pipeline.prefect_server import PrefectServer

# What a terminal or a viewer would obey, but tab and line feed.
OBEYED = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
NAME = "=caf\u202e.txt"
HOSTILE = "=1+1 \x1b[2J\x1b]0;title\x07 \x9b31m \u202eright\u2066 \rleft"


@pytest.fixture
def environment(prefect_server: PrefectServer, accounts: LocalAzure) -> dict[str, str]:
    """The environment of a user with accounts and a Prefect server."""
    return prefect_server.environment | dict(accounts.environment)


@pytest.mark.usefixtures("nothing_left")
def test_undecodable_bytes_of_a_file_of_a_bad_name(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """The table, a warning and the files say how many; the name is text in all of them."""
    (tmp_path / NAME).write_bytes("café café".encode("cp1252"))

    done = run(tmp_path, SCRIPT, NAME, environment=environment)

    assert done.returncode == 0, done.stderr
    assert not OBEYED.search(done.stdout + done.stderr)
    assert "Undecodable bytes" in done.stdout
    assert re.search(r"caf +│ 2 +│ 2 ", done.stdout)
    assert "2 bytes of 1 input(s) are not utf-8" in done.stderr
    with (tmp_path / "results" / "results.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["input"].startswith("'=caf")
    text = (tmp_path / "results" / "results.json").read_text()
    assert not OBEYED.search(text + row["input"])
    assert list(json.loads(text)["undecodable_bytes"].values()) == [2]


@pytest.mark.usefixtures("only_evidence_left")
def test_stderr_of_a_program(environment: dict[str, str], tmp_path: Path) -> None:
    """The error, the log, the report and its table show escapes; the log file has them as is."""
    (tmp_path / "program.py").write_text(
        f"import sys; sys.stderr.buffer.write({HOSTILE!r}.encode()); sys.exit(3)", "utf-8"
    )
    (tmp_path / NAME).write_text("text")

    done = run(tmp_path, *COMMAND, "program.py", NAME, "--retries", "0", environment=environment)

    assert done.returncode == 1
    assert r"\x1b[2J" in done.stderr
    folder = tmp_path / "results"
    files = [(folder / name).read_text() for name in ("failures.md", "failures.csv")]
    assert not OBEYED.search(done.stdout + done.stderr + "".join(files).replace("\r\n", "\n"))
    (row,) = csv.DictReader(files[1].splitlines())
    assert row["input"].startswith("'=caf")
    assert not row["last_line_of_stderr"].startswith(("=", "+", "-", "@"))
    assert HOSTILE.encode() in (folder / "logs" / "task0" / "stderr.txt").read_bytes()

"""What a person sees on the terminal while a service lets them wait."""

from pathlib import Path

import pytest

from local_azure.stack import LocalAzure
from tests.pipeline.command_line.test_command_line import SAMPLE, SCRIPT, run
from tests.support.pipeline.bad_answers import RETRY_AFTER_S, Fault, answering_badly, kinds_of
from tests.support.pipeline.prefect_server import PrefectServer


@pytest.mark.usefixtures("nothing_left")
def test_throttled_at_the_start(
    prefect_server: PrefectServer, accounts: LocalAzure, tmp_path: Path
) -> None:
    """A 429 is a line that says what is waited for and how long, and its wait is kept to."""
    with answering_badly(dict(accounts.environment)) as (spoil, named):
        rule = spoil(Fault.BUSY_429, kinds_of("list images"), 2)
        environment = prefect_server.environment | named
        done = run(tmp_path, SCRIPT, SAMPLE, "--plan", environment=environment)

    assert done.returncode == 0, done.stderr
    text = " ".join(done.stderr.split())
    assert "HTTP 429" in text
    assert f"it asks to wait {RETRY_AFTER_S} s; try 2 of 6 in about 2 s" in text
    assert "try 3 of 6 in about 3 s" in text
    assert "Traceback" not in done.stderr
    first, second, third = rule.times
    # Beside what Prefect waits by itself: a second, then two.
    assert second - first >= RETRY_AFTER_S
    assert third - second >= RETRY_AFTER_S

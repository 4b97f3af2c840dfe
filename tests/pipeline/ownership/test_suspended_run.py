"""A run whose machine slept: it continues if nobody has taken it over meanwhile."""

import os
import signal
import time
from pathlib import Path

import pytest

from local_azure.stack import LocalAzure
from tests.support.paths import PROJECT
from tests.support.pipeline.prefect_server import PrefectServer, stop, wait_for

LIMIT_S = 3
CODE = """
import sys
from flows.top_words import top_words
from flows.word_count.settings import CountSettings
from prefect_azure_batch import CleanUpPolicy
top_words(
    ["data/taskdata1.txt"],
    output_dir=sys.argv[1],
    job=CountSettings(delay_s=8, poll_interval_s=0.3),
    clean_up=CleanUpPolicy(heartbeat_limit_s=3),
)
"""


@pytest.mark.usefixtures("nothing_left")
def test_suspended_run_continues(
    prefect_server: PrefectServer, accounts: LocalAzure, tmp_path: Path
) -> None:
    """Suspended for longer than its limit, it says so, and has its result."""
    log = tmp_path / "log"
    script = prefect_server.start(
        *("python", "-c", CODE, str(tmp_path)),
        log=log,
        extra=dict(accounts.environment) | {"PYTHONPATH": str(PROJECT)},
    )
    try:
        wait_for(lambda: "1 running" in log.read_text() or script.poll() is not None, timeout_s=90)
        os.kill(script.pid, signal.SIGSTOP)
        time.sleep(2 * LIMIT_S)
        os.kill(script.pid, signal.SIGCONT)

        assert script.wait(timeout=60) == 0, log.read_text()
    finally:
        # One that is still suspended would not end.
        if script.poll() is None:
            os.kill(script.pid, signal.SIGCONT)
        stop(script)
    text = log.read_text()
    assert "this process or its machine was suspended" in text
    assert "nobody has taken the run over, so it continues" in text
    assert (tmp_path / "taskdata1_OUTPUT.txt").is_file()

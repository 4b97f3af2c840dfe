"""The SDK of the generation before, unmodified, against the emulator (`make test-clients`)."""

import os
import subprocess

import pytest

from tests.support.clone import ROOT
from tests.support.emulator.emulators import Emulator

PROGRAM = ROOT / "tests/support/emulator/old_client.py"


@pytest.mark.old_client
def test_azure_batch_14_runs_a_task(emulator: Emulator) -> None:
    """azure-batch 14.2 makes a pool, a job and a task, reads its output and deletes all."""
    done = subprocess.run(
        [os.environ["OLD_CLIENT_PYTHON"], str(PROGRAM)],
        env=os.environ | emulator.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")

"""What the emulator writes for itself: an error of a full disk says which file it was."""

import resource
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError

from tests.support.emulator.builders import pool_options
from tests.support.emulator.emulators import Account, client_of
from tests.support.processes import wait_until

# As a disk without room: what is written beyond so many bytes of a file is refused.
LIMIT = 300_000
MOST_POOLS = 300
ENV_FILE = f"""
import resource
from pathlib import Path
from local_azure.__main__ import _written
resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT}, {LIMIT}))
with _written(Path("local.env"), {{"NAME": "x" * {2 * LIMIT}}}):
    pass
"""


def test_env_file(tmp_path: Path) -> None:
    """Python alone would not say which file it was."""
    done = subprocess.run(
        [sys.executable, "-c", ENV_FILE], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "local.env" in done.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_database(account: Account) -> None:
    """A change that could not be written is refused; answer and log say which file it was."""
    emulator = account.emulator
    resource.prlimit(emulator.process.pid, resource.RLIMIT_FSIZE, (LIMIT, LIMIT))

    with client_of(emulator, retry_total=0) as client:

        def fill() -> None:
            """Create pools without nodes."""
            for number in range(MOST_POOLS):
                client.create_pool(pool_options(id=f"pool-{number}", target_dedicated_nodes=0))

        with pytest.raises(HttpResponseError) as refused:
            fill()

    assert refused.value.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "batch.sqlite could not be written" in str(refused.value)
    wait_until(lambda: "batch.sqlite could not be written" in emulator.log.read_text())

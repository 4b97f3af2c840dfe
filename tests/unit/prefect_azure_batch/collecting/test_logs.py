"""Logs of batch tasks: signatures are hidden wherever they are, in memory that is bounded."""

import subprocess
import sys
from pathlib import Path

import pytest

from prefect_azure_batch.collecting.logs import hidden_in, hide_signatures
from prefect_azure_batch.errors import ConfigurationError

LOG = b"get https://x/c?sp=r&sig=s3cr%2Fet&se=1 'SIG=s3cret' design=1 \xffsig=s3cret\nsig=s3cret"
HIDDEN = b"get https://x/c?sp=r&sig=***&se=1 'SIG=***' design=1 \xffsig=***\nsig=***"
MEBIBYTES = 100
MOST_KIB = 30 * 1024
# Reads no more than it must, so that its own imports are not what is measured.
MEASURE = """
import resource, sys
from pathlib import Path
from prefect_azure_batch.collecting.logs import hide_signatures
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
hide_signatures(Path(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 16, 1000])
def test_signature_across_blocks(size: int) -> None:
    """Wherever a log is cut into blocks, no part of a signature is left, and all else is."""
    blocks = [LOG[start : start + size] for start in range(0, len(LOG), size)]

    assert b"".join(hidden_in(blocks)) == HIDDEN


@pytest.mark.parametrize("beginning", [b"", b"sig="])
def test_line_of_gigabytes_is_not_held(tmp_path: Path, beginning: bytes) -> None:
    """A line without an end takes a bounded memory, also if all of it is one signature."""
    path = tmp_path / "stderr.txt"
    with path.open("wb") as file:
        file.write(beginning)
        for _ in range(MEBIBYTES):
            file.write(b"x" * 1024**2)

    grown_kib = subprocess.run(
        [sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=True
    ).stdout

    assert int(grown_kib) < MOST_KIB
    assert path.stat().st_size == (len(b"sig=***") if beginning else MEBIBYTES * 1024**2)


def test_full_disk_names_the_log(tmp_path: Path) -> None:
    """What a full disk does not take is an error with the file and what to do."""
    log = tmp_path / "stderr.txt"
    log.write_bytes(LOG)
    (tmp_path / ".stderr.txt.part").symlink_to("/dev/full")

    with pytest.raises(ConfigurationError, match=r"/stderr\.txt': No space left.*make room"):
        hide_signatures(log)

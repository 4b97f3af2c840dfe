"""The tests for a real account: run by nobody by accident, and on the emulator by this file."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from azure.batch import BatchClient
from azure.storage.blob import BlobServiceClient

from local_azure.stack import LocalAzure
from prefect_azure_batch.service.clients import Services
from tests.pipeline.conftest import leftovers
from tests.support.paths import PROJECT

FOLDER = PROJECT / "tests" / "azure"


def outcome(folder: Path, account: Mapping[str, str], *options: str) -> tuple[int, str, str]:
    """Run them in a folder of their own; return exit code, the last line, and all of it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AZURE_")}
    project = ("--rootdir", str(PROJECT), "-c", str(PROJECT / "pyproject.toml"))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            *project,
            *options,
            str(FOLDER),
        ],
        cwd=folder,
        env=kept | dict(account),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    said = done.stdout + done.stderr
    return done.returncode, said.splitlines()[-1].partition(" in ")[0], said


@pytest.mark.timeout(300)
def test_they_pass_on_the_emulator(
    local_azure: LocalAzure,
    batch_client: BatchClient,
    blob_service: BlobServiceClient,
    tmp_path: Path,
) -> None:
    """All scenarios for the account of `.env` pass on the emulator, and leave nothing on it."""
    lines = (f"{name}='{value}'\n" for name, value in local_azure.environment.items())
    (tmp_path / ".env").write_text("".join(lines))

    code, last, said = outcome(tmp_path, {}, "-m", "azure")

    assert (code, last) == (0, "6 passed"), said
    assert leftovers(Services(batch_client, blob_service)) == []


def test_an_account_alone_runs_nothing(local_azure: LocalAzure, tmp_path: Path) -> None:
    """With an account at hand, but not asked for by their marker, they are skipped, and say so."""
    code, last, said = outcome(tmp_path, local_azure.environment)

    assert (code, last) == (0, "6 skipped")
    assert "make test-azure" in said


def test_without_an_account_they_are_skipped(tmp_path: Path) -> None:
    """Asked for without an account, they are skipped, and say which variable is missing."""
    code, last, said = outcome(tmp_path, {}, "-m", "azure")

    assert (code, last) == (0, "6 skipped")
    assert "no account: AZURE_BATCH_ACCOUNT is neither" in said


def test_an_account_that_does_not_answer_is_an_error(
    local_azure: LocalAzure, tmp_path: Path
) -> None:
    """An account whose key is wrong is not taken for none."""
    wrong = {"AZURE_BATCH_ACCESS_KEY": "d3Jvbmc="}
    code, last, said = outcome(tmp_path, {**local_azure.environment, **wrong}, "-m", "azure")

    assert (code, last) == (1, "6 errors")
    assert "AuthenticationFailed" in said

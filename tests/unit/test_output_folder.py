"""The folder that outputs go to."""

from pathlib import Path

import pytest

from prefect_azure_batch.engine.output_folder import prepare_output_dir
from prefect_azure_batch.errors import ConfigurationError


def test_folder_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder and those above it are made, seen from the working directory, and left empty."""
    monkeypatch.chdir(tmp_path)

    folder = prepare_output_dir("a/b")

    assert folder == tmp_path / "a" / "b"
    assert list(folder.iterdir()) == []


def test_file_in_the_way(tmp_path: Path) -> None:
    """A file where the folder should be is an error that names it."""
    (tmp_path / "file").touch()

    with pytest.raises(ConfigurationError, match=r"output_dir .*file/out' is not writable"):
        prepare_output_dir(str(tmp_path / "file" / "out"))

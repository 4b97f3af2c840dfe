"""The folder that the outputs go to."""

from pathlib import Path

from prefect_azure_batch.errors import ConfigurationError


def prepare_output_dir(output_dir: str) -> Path:
    """Make the output folder and try to write there, before anything is created.

    Raises:
        ConfigurationError: the folder cannot be made or written to.
    """
    folder = Path(output_dir).absolute()
    probe = folder / ".top-words-probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"output_dir {str(folder)!r} is not writable: {error.strerror}"
        ) from error
    return folder

"""`batch-map blocks`: save the accounts as blocks, and check them with one real call each."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from pydantic import ValidationError

from prefect_azure_batch.command_line.app import FAILED
from prefect_azure_batch.credentials.env_file import check_dot_env, read_env_file
from prefect_azure_batch.credentials.proxies import bypass_on_this_machine
from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.paths import local_path
from prefect_azure_batch.plain_text import visible

if TYPE_CHECKING:
    from prefect_azure_batch.credentials.batch import AzureBatchCredentials
    from prefect_azure_batch.credentials.storage import AzureStorageCredentials

    BlockType = type[AzureBatchCredentials | AzureStorageCredentials]

app = App(name="blocks", help=__doc__)


def block_types() -> "tuple[BlockType, ...]":
    """Return the two blocks; imports Prefect.

    Raises:
        ValueError: `.env` cannot be read.
    """
    check_dot_env()
    from prefect_azure_batch.credentials.batch import AzureBatchCredentials  # noqa: PLC0415
    from prefect_azure_batch.credentials.storage import AzureStorageCredentials  # noqa: PLC0415

    return (AzureBatchCredentials, AzureStorageCredentials)


@app.command
def save(
    name: str, *, env_file: Annotated[Path | None, Parameter(name="--env-file")] = None
) -> int:
    """Create or update two blocks from the accounts of the environment; secrets are not shown.

    Args:
        name: what both blocks are called, such as `local` or `azure`.
        env_file: lines `NAME=value` or `export NAME=value`; read instead of the environment and
            `.env`.
    """
    if env_file is not None:
        env_file = Path(local_path(str(env_file), "--env-file"))
    if env_file is not None and not env_file.is_file():
        raise ValueError(f"no file {str(env_file)!r}: start `python -m local_azure up --env-file`")
    values = read_env_file(env_file) if env_file is not None else None
    # Both accounts are looked at before either is saved.
    for block in [block_type.from_environment(values) for block_type in block_types()]:
        block.register_type_and_schema()
        block.save(name, overwrite=True)
        sys.stdout.write(f"saved {block.get_block_type_slug()}/{name}\n")
    sys.stdout.write(f"next: {' '.join(_command())} check {name}\n")
    return 0


@app.command
def check(name: str | None = None) -> int:
    """Make one cheap call to each account; exit code 1 if one does not answer as it should.

    Args:
        name: of the saved blocks; without it the accounts of the environment and `.env`.
    """
    return max([_check(block_type, name) for block_type in block_types()])


def _check(block_type: "BlockType", name: str | None) -> int:
    try:
        block_type.load_or_environment(name).check_connection()
    except (ValueError, ConnectionError) as error:
        return _failed(error)
    sys.stdout.write(f"ok {block_type.get_block_type_slug()}/{name or 'environment'}\n")
    return 0


def _command() -> list[str]:
    """Return how this command was called, for the next one."""
    is_module = Path(sys.argv[0]).name == "__main__.py"
    return ["python", "-m", "blocks"] if is_module else ["batch-map", "blocks"]


def _failed(error: Exception) -> int:
    message = str(error)
    if isinstance(error, ValidationError):
        from prefect_azure_batch.credentials.loading import plain_message  # noqa: PLC0415 - Prefect

        message = plain_message(error)
    sys.stderr.write(f"error: {visible(message)}\n")
    return FAILED


def main() -> int:
    """Run the command line; 1 and a line on standard error if a value or an account is wrong."""
    bypass_on_this_machine()
    try:
        return int(app(result_action="return_value") or 0)
    except (ValueError, ConfigurationError) as error:
        return _failed(error)

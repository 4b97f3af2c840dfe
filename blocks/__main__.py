"""`python -m blocks save NAME`: register both block types and save the accounts under one name."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from blocks import AzureBatchCredentials, AzureStorageCredentials
from blocks.environment import read_env_file
from blocks.loading import plain_message

app = App(name="python -m blocks", help=__doc__)


@app.command
def save(
    name: str, *, env_file: Annotated[Path | None, Parameter(name="--env-file")] = None
) -> None:
    """Save the accounts of the environment (or of a file) as two blocks; secrets are not shown.

    Args:
        name: what both blocks are called, such as `local` or `azure`.
        env_file: lines `NAME=value` or `export NAME=value`; read instead of the environment.
    """
    if env_file is not None and not env_file.is_file():
        raise ValueError(f"no file {str(env_file)!r}: start `python -m local_azure up --env-file`")
    values = read_env_file(env_file) if env_file is not None else None
    for block_type in (AzureBatchCredentials, AzureStorageCredentials):
        block = block_type.from_environment(values)
        block_type.register_type_and_schema()
        block.save(name, overwrite=True)
        sys.stdout.write(f"saved {block_type.get_block_type_slug()}/{name}\n")


def main() -> int:
    """Run the command line; 1 and one line on standard error if a value is missing or wrong."""
    try:
        app(result_action="return_value")
    except ValueError as error:
        sys.stderr.write(f"error: {plain_message(error)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

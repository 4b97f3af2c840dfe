"""The janitor under its old name, for one version: use `prefect_azure_batch.janitor`."""

import sys

from prefect_azure_batch.command_line.janitor import main
from prefect_azure_batch.janitor import janitor as janitor  # noqa: PLC0414 - for deployments

if __name__ == "__main__":
    sys.exit(main())

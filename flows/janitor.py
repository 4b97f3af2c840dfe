"""The janitor under its old name, for one version: use `prefect_azure_batch.janitor`."""

import sys

from prefect_azure_batch.command_line.janitor import main

if __name__ == "__main__":
    # Before Prefect is imported, which reads `.env`, too.
    sys.exit(main())

from prefect_azure_batch.janitor import janitor as janitor  # noqa: PLC0414 - for deployments

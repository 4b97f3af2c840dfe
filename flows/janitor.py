"""The janitor under its old name, for one version: use `prefect_azure_batch.janitor`."""

import sys

from prefect_azure_batch.janitor import janitor as janitor
from prefect_azure_batch.janitor import main

if __name__ == "__main__":
    sys.exit(main())

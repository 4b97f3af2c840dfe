"""`python -m blocks`: save the accounts as blocks, and check them with one real call each."""

import sys

from prefect_azure_batch.command_line.blocks import main

if __name__ == "__main__":
    sys.exit(main())

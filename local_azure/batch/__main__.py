"""`python -m local_azure.batch`: the Batch emulator as a process of its own.

The account comes from the environment, never from the command line, where others could read it:
LOCAL_AZURE_BATCH_ACCOUNT and LOCAL_AZURE_BATCH_KEY (base64).
"""

import argparse
import logging
import os
from pathlib import Path

from local_azure.batch.calls import Account, Service
from local_azure.batch.clock import Clock
from local_azure.batch.server import serve
from local_azure.batch.store import Store


def main() -> None:
    """Read the options and serve until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m local_azure.batch", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="loopback port; 0 picks a free one")
    parser.add_argument("--nodes-dir", type=Path, required=True, help="folder of the nodes")
    parser.add_argument("--log-level", default="warning", choices=("debug", "info", "warning"))
    options = parser.parse_args()
    logging.basicConfig(
        level=options.log_level.upper(), format="%(levelname)s %(name)s: %(message)s"
    )
    account = Account(
        name=os.environ.pop("LOCAL_AZURE_BATCH_ACCOUNT"),
        key=os.environ.pop("LOCAL_AZURE_BATCH_KEY"),
    )
    options.nodes_dir.mkdir(parents=True, exist_ok=True)
    service = Service(
        account=account, store=Store(), clock=Clock(), nodes_dir=options.nodes_dir.resolve()
    )
    serve(service, options.port)


if __name__ == "__main__":
    main()

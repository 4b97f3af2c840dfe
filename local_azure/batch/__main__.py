"""`python -m local_azure.batch`: the Batch emulator as a process of its own.

The account comes from the environment, never from the command line, where others could read it:
LOCAL_AZURE_BATCH_ACCOUNT and LOCAL_AZURE_BATCH_KEY (base64).
"""

import argparse
import logging
import os
import sys
from pathlib import Path

from local_azure.batch.controls.clock import Clock
from local_azure.batch.machine.folders import remove_trash
from local_azure.batch.machine.leftover_processes import kill_leftovers
from local_azure.batch.server.app import ServerOptions, serve
from local_azure.batch.state.account import Account
from local_azure.batch.state.journal import Journal, JournalError
from local_azure.batch.state.service import BatchService
from local_azure.batch.state.store import Store


def main() -> None:
    """Read the options and serve until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m local_azure.batch", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="loopback port; 0 picks a free one")
    parser.add_argument("--nodes-dir", type=Path, required=True, help="folder of the nodes")
    parser.add_argument("--database", type=Path, help="keep all state here; else in memory")
    parser.add_argument("--control", action="store_true", help="have the endpoints /_emulator/")
    parser.add_argument("--tls", type=Path, help="listen with TLS; folder of the certificate")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="another name of it"
    )
    parser.add_argument(
        "--request-timeout-s",
        type=float,
        default=ServerOptions.request_timeout_s,
        help="for a request's head, and for a pause in its body",
    )
    parser.add_argument("--log-level", default="warning", choices=("debug", "info", "warning"))
    options = parser.parse_args()
    logging.basicConfig(
        level=options.log_level.upper(), format="%(levelname)s %(name)s: %(message)s"
    )
    account = Account(
        name=os.environ.pop("LOCAL_AZURE_BATCH_ACCOUNT"),
        key=os.environ.pop("LOCAL_AZURE_BATCH_KEY"),
    )
    for folder in (options.nodes_dir, options.database and options.database.parent):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    nodes_dir, store = options.nodes_dir.resolve(), Store()
    journal = _restored(options.database, store, nodes_dir) if options.database else None
    service = BatchService(
        account=account, store=store, clock=Clock(), nodes_dir=nodes_dir, journal=journal
    )
    serve(
        service,
        ServerOptions(
            port=options.port,
            control=options.control,
            tls_dir=options.tls,
            hosts=tuple(options.allow_host),
            request_timeout_s=options.request_timeout_s,
        ),
    )


def _restored(database: Path, store: Store, nodes_dir: Path) -> Journal:
    """Fill the store from its journal, and end what still runs from before."""
    try:
        journal = Journal(database)
    except JournalError as error:
        sys.exit(f"error: {error}")
    kill_leftovers(nodes_dir)
    remove_trash(nodes_dir)
    store.restore(journal.read())
    journal.follow(store)
    return journal


if __name__ == "__main__":
    main()

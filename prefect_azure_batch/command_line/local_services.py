"""What runs on this machine for one command: Azure (`--local`) and Prefect's temporary server."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.ownership.unfinished import unfinished


@contextmanager
def services_of_this_machine(*, wanted: bool) -> Iterator[None]:
    """Start Azure on this machine if wanted, import Prefect meanwhile, and stop it at the end."""
    if not wanted:
        yield
        return
    try:
        from local_azure.stack import LocalAzure  # noqa: PLC0415 - only for --local
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"--local needs the package local-azure ({error}): install it, or name an account"
        ) from error

    azure = LocalAzure()
    began = time.monotonic()
    try:
        azure.start()
        import prefect  # noqa: F401, PLC0415 - takes as long as the services do

        azure.wait_until_ready()
        os.environ.update(azure.environment)
        took_s = time.monotonic() - began
        sys.stderr.write(f"Azure Batch and Blob Storage on this machine: ready in {took_s:.1f} s\n")
        yield
    finally:
        azure.stop()
        # It was on these services.
        unfinished.clear()


def start_prefect_server() -> None:
    """Start Prefect's temporary server, unless another is named, out of the reach of Ctrl-C.

    A terminal sends Ctrl-C to all its processes, and the clean-up needs the server.
    """
    from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415 - Prefect
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415 - Prefect

    if PREFECT_API_URL.value():
        return
    # A child has the signal mask of the thread that starts it.
    deaf = partial(signal.pthread_sigmask, signal.SIG_BLOCK, {signal.SIGINT})
    with ThreadPoolExecutor(1, initializer=deaf) as starter:
        starter.submit(SubprocessASGIServer().start).result()


def stop_prefect_server() -> None:
    """Stop the temporary server, if there is one: this process ends without doing it by itself."""
    from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415 - Prefect

    for server in SubprocessASGIServer._instances.values():  # noqa: SLF001 - it has no other list
        if process := server.server_process:
            process.terminate()

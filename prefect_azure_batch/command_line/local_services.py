"""What runs on this machine for one command: Azure and Prefect (`--local`), or Prefect alone."""

import atexit
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prefect_azure_batch.command_line import own_prefect
from prefect_azure_batch.credentials.env_file import check_dot_env
from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.ownership.unfinished import unfinished

if TYPE_CHECKING:
    from local_azure.service import Service

_LISTENS = re.compile(r"running on (http://127\.0\.0\.1:\d+)")
_SERVER = (
    *("--factory", "prefect.server.api.server:create_app", "--host", "127.0.0.1", "--port", "0"),
    *("--lifespan", "on", "--no-access-log"),
)


@contextmanager
def services_of_this_machine(settings: Mapping[str, str], *, wanted: bool) -> Iterator[None]:
    """Start Azure and Prefect on this machine if wanted, and stop Azure at the end.

    Prefect's server is that of `PREFECT_API_URL` if the environment has it. Else it has a home of
    its own and lives as long as this process: what Prefect sends at its end still arrives.

    Args:
        settings: defaults of Prefect's variables.
        wanted: whether any of it; Prefect then goes by the user's settings.

    Raises:
        ConfigurationError: the emulator is not installed, or Prefect's own server does not start.
        ValueError: `.env` cannot be read, and the user's settings count.
        LocalAzureError: Azure does not start.
    """
    if not wanted:
        _go_by_users_settings(settings)
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
        _have_prefect(settings)
        azure.wait_until_ready()
        os.environ.update(azure.environment)
        took_s = time.monotonic() - began
        sys.stderr.write(f"Azure Batch and Blob Storage on this machine: ready in {took_s:.1f} s\n")
        yield
    finally:
        azure.stop()
        # It was on these services.
        unfinished.clear()


def _go_by_users_settings(settings: Mapping[str, str]) -> None:
    check_dot_env()
    _set_defaults(settings)


def _set_defaults(settings: Mapping[str, str]) -> None:
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def _have_prefect(settings: Mapping[str, str]) -> None:
    """Import Prefect, with the server of the environment or one of its own."""
    if own_prefect.given_server():
        _go_by_users_settings(settings)
        import prefect  # noqa: F401, PLC0415 - takes as long as the services do

        return
    home = own_prefect.take_own_home()
    _set_defaults(settings)
    with own_prefect.first_start(home):
        server = _start_own_server(home)
        # Before Prefect registers what it does at the end: the last one is called first.
        atexit.register(server.stop)
        own_prefect.import_prefect(home)
        try:
            server.wait_until_ready(time.monotonic() + own_prefect.FIRST_START_S)
        except RuntimeError as error:
            raise ConfigurationError(
                f"{error}\nits home is a cache: delete {str(home)!r}, and run again"
            ) from error
    own_prefect.use_server(home, server.url)


def _start_own_server(home: Path) -> "Service":
    """Start Prefect's server as Prefect does; it ends with this process, however that ends.

    It is out of the reach of a terminal's Ctrl-C: the clean-up needs it.
    """
    from local_azure.guard import guard  # noqa: PLC0415 - only for --local
    from local_azure.service import Service, open_log  # noqa: PLC0415 - only for --local

    log = open_log(None)
    process = guard(
        [sys.executable, "-m", "uvicorn", *_SERVER],
        cwd=home,
        env=own_prefect.server_environment(),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    return Service("Prefect's server", process, log, _LISTENS)


def start_prefect_server() -> None:
    """Start Prefect's temporary server, unless another is named, out of the reach of Ctrl-C.

    A terminal sends Ctrl-C to all its processes, and the clean-up needs the server.

    Raises:
        ConfigurationError: the server that is named does not answer.
    """
    from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415 - Prefect
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415 - Prefect

    if url := PREFECT_API_URL.value():
        _check_server(url)
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


def _check_server(url: str) -> None:
    """Ask Prefect's server whether it is well.

    Raises:
        ConfigurationError: there is no good answer, or what answers is not its API.
    """
    from prefect import get_client  # noqa: PLC0415 - Prefect

    try:
        with get_client(sync_client=True) as client:
            answer = client.request("GET", "/health")
    except Exception as error:
        # Whatever HTTP, TLS, a proxy or Prefect itself raises: there is no server to work with.
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise ConfigurationError(_no_server(url, reason)) from error
    if answer.headers.get("content-type", "").startswith("text/html"):
        raise ConfigurationError(_no_server(url, "a page answers; the URL of the API ends in /api"))


def _no_server(url: str, reason: str) -> str:
    where = "" if own_prefect.given_server() else " of the profile or a settings file"
    return (
        f"PREFECT_API_URL{where} is {url}, and no Prefect server answers there: {reason}; start "
        "it, or unset the variable (`prefect config view --show-sources` shows who sets it)"
    )

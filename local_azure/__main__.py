"""`python -m local_azure up` serves Azure on the laptop; `install` gets Azurite from npm."""

import argparse
import os
import pwd
import re
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from errno import EISDIR
from os import strerror
from pathlib import Path

from local_azure import azurite
from local_azure.service import LocalAzureError
from local_azure.stack import LocalAzure

_CHECK_S = 0.2
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[?[0-9A-Fa-f:.]+\]?")


class _StopRequestedError(Exception):
    """SIGINT or SIGTERM has come."""


def main() -> int:
    """Run the command line; return the exit code."""
    options = _parser().parse_args()
    try:
        if options.command == "install":
            azurite.install()
        else:
            _up(options)
    except (LocalAzureError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local_azure", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help="install Azurite from npm")
    up = commands.add_parser("up", help="serve until SIGINT or SIGTERM")
    up.add_argument("--env-file", type=_path, help="write the environment here, mode 0600")
    up.add_argument("--batch-port", type=_port, default=0, help="0 (default) picks a free one")
    up.add_argument("--blob-port", type=_port, default=0, help="0 (default) picks a free one")
    up.add_argument(
        "--data-dir", type=_path, help="keep everything here, data and logs; its mode becomes 0700"
    )
    up.add_argument(
        "--allow-host",
        type=_host,
        action="append",
        default=[],
        metavar="NAME",
        help="answer clients that call it by this name or address, too; may be repeated",
    )
    up.add_argument(
        "--control", action="store_true", help="have the Batch emulator's endpoints /_emulator/"
    )
    up.add_argument(
        "--tls",
        action="store_true",
        help="let the Batch emulator listen with TLS, and accept tokens",
    )
    return parser


def _path(text: str) -> Path:
    """Read a path as a shell does; an option behind `=` has its `~` still."""
    if not text or re.match(r"(?i)az:|[a-z][a-z0-9+.-]+:/", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a path of this machine")
    return Path(text).expanduser()


def _host(text: str) -> str:
    """Read a name or an address; it has neither scheme nor port.

    Raises:
        argparse.ArgumentTypeError: it has, or it is none.
    """
    if not _HOST.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a host name or address without a port")
    return text


def _port(text: str) -> int:
    """Read a port, or 0.

    Raises:
        ValueError: it is neither.
    """
    port = int(text)
    if port not in range(65536):
        raise ValueError
    return port


_port.__name__ = "port"


def _check_env_file(path: Path) -> None:
    """See whether the file could be written, before anything starts.

    Raises:
        LocalAzureError: it could not.
    """
    if path.is_dir():
        raise LocalAzureError(f"--env-file {path}: {strerror(EISDIR)}")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise LocalAzureError(f"--env-file {path}: {error.strerror}") from error


def _up(options: argparse.Namespace) -> None:
    if options.env_file is not None:
        _check_env_file(options.env_file)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _request_stop)
    try:
        with LocalAzure(
            options.data_dir,
            options.batch_port,
            options.blob_port,
            control=options.control,
            tls=options.tls,
            allow_hosts=options.allow_host,
        ) as stack:
            _serve(stack, options.env_file)
    except _StopRequestedError:
        return


def _request_stop(*_: object) -> None:
    # Once is enough: a second Ctrl-C must not break into the stopping.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise _StopRequestedError


def _serve(stack: LocalAzure, env_file: Path | None) -> None:
    with _written(env_file, stack.environment):
        trust = f" ca={stack.ca_bundle}" if stack.ca_bundle else ""
        sys.stdout.write(
            f"ready batch={stack.batch_url} blob={stack.blob_url}{trust} - start tasks and tasks "
            f"of any client run on this machine as this user ({_user()})\n"
        )
        sys.stdout.flush()
        while not (failure := stack.failure):
            time.sleep(_CHECK_S)
        raise LocalAzureError(failure)


def _user() -> str:
    """Return the name of the user that this process, and so every task, runs as."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container's user need not have a name
        return f"uid {os.geteuid()}"


@contextmanager
def _written(path: Path | None, environment: Mapping[str, str]) -> Iterator[None]:
    """Keep the environment as shell lines in a file, unless somebody else replaces it."""
    if path is None:
        yield
        return
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()]
    content = "".join(lines)
    try:
        _write_atomically(path, content)
        yield
    finally:
        if path.is_file() and path.read_text() == content:
            path.unlink()


def _write_atomically(path: Path, content: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    number, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "w") as file:
            file.write(content)
        Path(part).replace(path)
    except OSError as error:
        # Of a full disk, Python does not say which file it was.
        error.filename = error.filename or str(path)
        raise
    finally:
        Path(part).unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())

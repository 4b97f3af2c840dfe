"""The parent's side of the warden: start a command that cannot outlive this process.

Apart from `warden` because that must start in milliseconds and this needs subprocess.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TypedDict, Unpack

from local_azure import warden

_BEYOND_GRACE_S = 10.0


class PopenOptions(TypedDict, total=False):
    """What `guard` passes to `subprocess.Popen` unchanged."""

    cwd: Path | None
    env: Mapping[str, str] | None
    stdin: int | IO[bytes] | None
    stdout: int | IO[bytes] | None
    stderr: int | IO[bytes] | None


class Guarded:
    """A command under a warden; it ends when this object is stopped, collected, or dies with us."""

    def __init__(self, process: subprocess.Popen[bytes], pipe: IO[bytes]) -> None:
        self._process = process
        self._pipe = pipe

    @property
    def pid(self) -> int:
        """The process id of the warden; the command is its child."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return the command's exit code (128 + n for signal n), None while it runs."""
        return self._process.poll()

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait until nothing is left of the command; return its exit code.

        Raises:
            subprocess.TimeoutExpired: something of it still runs after that many seconds.
        """
        return self._process.wait(timeout_s)

    def release(self, grace_s: float = warden.GRACE_S) -> None:
        """Ask the command to end, with SIGKILL after that many seconds; do not wait for it."""
        if self._pipe.closed:
            return
        # The warden may have ended by itself and closed its end of the pipe.
        with suppress(BrokenPipeError):
            self._pipe.write(f"{grace_s:.3f}".encode())
        self._pipe.close()

    def stop(self, grace_s: float = warden.GRACE_S) -> int:
        """Release and wait; return the exit code. May be repeated."""
        self.release(grace_s)
        return self.wait(grace_s + _BEYOND_GRACE_S)


def guard(
    command: Sequence[str | Path],
    *,
    remove: Path | None = None,
    pass_fds: Sequence[int] = (),
    **options: Unpack[PopenOptions],
) -> Guarded:
    """Start a command under a warden, in a session of its own.

    Args:
        command: program and arguments; no shell. An unknown program ends with exit code 127.
        remove: a folder that the warden removes once nothing is left of the command.
        pass_fds: descriptors that stay open as long as the warden and the command live.
        options: as for `subprocess.Popen`.
    """
    read_end, write_end = os.pipe()
    pipe = os.fdopen(write_end, "wb", buffering=0)
    program = [sys.executable, "-I", "-S", warden.__file__, str(read_end), str(remove or ""), "--"]
    try:
        process = subprocess.Popen(  # noqa: S603 - a list of arguments, no shell
            [*program, *map(str, command)],
            pass_fds=(read_end, *pass_fds),
            start_new_session=True,
            **options,
        )
    except OSError:
        pipe.close()
        raise
    finally:
        os.close(read_end)
    return Guarded(process, pipe)

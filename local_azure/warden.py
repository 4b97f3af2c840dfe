"""Run one command and leave nothing of it behind, however its parent ends.

A program of its own, started by ``guard.py``::

    python -I -S warden.py PIPE FOLDER -- COMMAND...

PIPE is the number of the read end of a pipe whose write end only the parent holds. When it closes
(the parent has let go of it, or has died in any way) or a SIGTERM, SIGINT or SIGHUP comes, the
command gets SIGTERM and a time to end in order: the seconds that the parent wrote into the pipe,
or else `GRACE_S`. After the command's end, for whatever reason, every process it left behind is
killed; then FOLDER is removed (none if empty), and the warden ends with the command's exit code,
128 + n for signal n.

On Linux the warden is the subreaper of all that descends from the command, so that a process
which has forked twice and called setsid is still found. On other POSIX systems this is best
effort: only the command's process group is killed, and nothing ends the command when the warden
itself is killed. A set-uid program of another user is named on stderr and left.
"""

# No pathlib: its import would add half to the time that a warden takes to start.
# ruff: noqa: PTH101, PTH106, PTH108, PTH123, PTH208
import ctypes
import os
import select
import signal
import sys
import time

GRACE_S = 5.0
"""Seconds between SIGTERM and SIGKILL when the parent has not given another number."""

_LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_RESCAN_S = 0.01


class Warden:
    """One command, all processes that descend from it, and the pipe that keeps them alive."""

    def __init__(self, pipe: int, command: list[str]) -> None:
        os.set_inheritable(pipe, False)  # noqa: FBT003 - positional-only
        if _LINUX:
            _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self._pipe = pipe
        self._wake = _wake_on_signals()
        self._code: int | None = None
        self._child = _start(command)

    def run(self) -> int:
        """Return the command's exit code once nothing is left of it."""
        grace_s = self._wait_for_end_or_stop()
        if self._code is None:
            os.kill(self._child, signal.SIGTERM)
            self._wait_for_end(time.monotonic() + grace_s)
        self._kill_what_is_left()
        return 128 + signal.SIGKILL if self._code is None else self._code

    def _wait_for_end_or_stop(self) -> float:
        """Return the seconds of grace if asked to stop, or once the command has ended."""
        grace = b""
        while self._code is None:
            ready, _, _ = select.select([self._pipe, self._wake], [], [])
            if self._wake in ready and self._handle_signals():
                break
            if self._pipe in ready:
                given = os.read(self._pipe, 64)
                grace += given
                if not given:
                    break
        return float(grace) if grace else GRACE_S

    def _wait_for_end(self, deadline: float) -> None:
        while self._code is None and (left_s := deadline - time.monotonic()) > 0:
            self._wait_for_signal(left_s)

    def _wait_for_signal(self, timeout_s: float) -> None:
        if select.select([self._wake], [], [], timeout_s)[0]:
            self._handle_signals()

    def _handle_signals(self) -> bool:
        """Reap what has ended; return whether one of the signals asks to stop."""
        numbers = os.read(self._wake, 512)
        self._reap()
        return any(number in numbers for number in _STOP_SIGNALS)

    def _reap(self) -> bool:
        """Collect every child that has ended, adopted ones too; return whether any child lives."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._child:
                code = os.waitstatus_to_exitcode(status)
                self._code = code if code >= 0 else 128 - code

    def _kill_what_is_left(self) -> None:
        if not _LINUX:
            _kill(-self._child)
        while self._reap():
            found = _descendants() if _LINUX else [-self._child]
            refused = [pid for pid in found if not _kill(pid)]
            if refused and refused == found:
                sys.stderr.write(f"warden: not ours to end: processes {refused}\n")
                return
            self._wait_for_signal(_RESCAN_S)


def remove_tree(folder: str) -> None:
    """Remove a folder and all in it, folders that their owner may not write to included."""
    os.chmod(folder, 0o700)
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                remove_tree(entry.path)
            else:
                os.unlink(entry.path)
    os.rmdir(folder)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value})")


def _wake_on_signals() -> int:
    """Return a descriptor that yields the number of each signal as a byte."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, *_STOP_SIGNALS):
        signal.signal(number, lambda *_: None)
    return read_end


def _start(command: list[str]) -> int:
    warden = os.getpid()
    # A SIGTERM between fork and exec would otherwise meet the warden's handler and be lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    child = os.fork()
    if child:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
        return child
    try:
        _become(command, warden)
    except OSError as error:
        os.write(2, f"warden: cannot run {command[0]!r}: {error.strerror}\n".encode())
    os._exit(127)


def _become(command: list[str], warden: int) -> None:
    """Replace this process by the command, in a process group of its own."""
    os.setpgid(0, 0)
    # SIGQUIT may come ignored from a shell's background job, SIGPIPE and SIGXFSZ from Python.
    for number in (*_STOP_SIGNALS, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if _LINUX:
        # SIGKILL: once the warden is gone nobody is left to enforce a milder signal.
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != warden:
            os._exit(128 + signal.SIGKILL)
    os.execvp(command[0], command)  # noqa: S606 - to run the caller's command is the purpose


def _kill(pid: int) -> bool:
    """Send SIGKILL; return whether that was allowed (a process already gone counts as allowed)."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True


def _descendants() -> list[int]:
    """Return the ids of all processes below this one, parents before their children."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (parent := _parent_of(name)):
            children.setdefault(parent, []).append(int(name))
    found = list(children.get(os.getpid(), ()))
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def _parent_of(pid: str) -> int:
    """Return the id of a process's parent, 0 if the process has just gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            # The second field is the program's name, which may hold blanks and parentheses.
            return int(stat.read().rpartition(b")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def main() -> int:
    """Run as the module's docstring says; return the exit code."""
    pipe, folder, command = int(sys.argv[1]), sys.argv[2], sys.argv[4:]
    code = Warden(pipe, command).run()
    if folder:
        remove_tree(folder)
    return code


if __name__ == "__main__":
    sys.exit(main())

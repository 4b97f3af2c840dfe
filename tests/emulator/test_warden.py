"""The warden: nothing of a guarded command outlives its parent, by real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from local_azure.guard import Guarded, guard
from tests.support.processes import Marked, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="best effort elsewhere")

ORPHAN = "sleep 987654"
"""What the detached grandchild runs: forked twice, in a session of its own."""

COMMAND = "sleep 123456"
DETACH = ["/bin/sh", "-c", f"setsid --fork {ORPHAN}; echo detached; exec {COMMAND}"]
PARENT = "import sys; from local_azure.guard import guard; kept = guard(sys.argv[1:]); "
WAITING = PARENT + "sys.stdin.read()"


@pytest.fixture
def detached(marked: Marked) -> Guarded:
    """A guarded command that has let a detached grandchild loose."""
    guarded = guard(DETACH, stdout=subprocess.DEVNULL)
    wait_until(lambda: runs_detached(marked))
    return guarded


def runs_detached(marked: Marked) -> bool:
    """Return whether both the command and its detached grandchild run."""
    return bool(marked.pids(COMMAND) and marked.pids(ORPHAN))


def waiting_parent(marked: Marked) -> subprocess.Popen[bytes]:
    """Start another process that guards such a command and ends with its stdin."""
    command = [sys.executable, "-W", "ignore::ResourceWarning", "-c", WAITING, *DETACH]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    wait_until(lambda: runs_detached(marked))
    return parent


def test_stop_ends_a_detached_grandchild(detached: Guarded, marked: Marked) -> None:
    """After stop() nothing is left, not even what forked twice and called setsid."""
    detached.stop()

    assert marked.none()


def test_sigkill_of_the_command_ends_a_detached_grandchild(
    detached: Guarded, marked: Marked
) -> None:
    """When the command itself is killed, what it left behind is ended before the warden ends."""
    os.kill(marked.pids(COMMAND)[0], signal.SIGKILL)

    code = detached.wait(10)
    left = marked.pids()
    detached.stop()

    assert (code, left) == (128 + signal.SIGKILL, [])


def test_sigkill_of_the_parent_ends_everything(marked: Marked) -> None:
    """When the process that holds the pipe is killed, nothing is left."""
    parent = waiting_parent(marked)

    parent.kill()
    parent.communicate()

    wait_until(marked.none)


def test_end_of_the_parent_ends_everything(marked: Marked) -> None:
    """A parent that returns without stopping its command leaves nothing either."""
    parent = waiting_parent(marked)

    parent.communicate()

    wait_until(marked.none)
    assert parent.returncode == 0


def test_sigkill_of_the_warden_ends_the_command(marked: Marked) -> None:
    """The command does not outlive its warden."""
    guarded = guard(COMMAND.split())
    wait_until(lambda: marked.pids(COMMAND))

    os.kill(guarded.pid, signal.SIGKILL)

    wait_until(marked.none)
    guarded.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_warden_ends_everything(
    detached: Guarded, marked: Marked, number: signal.Signals
) -> None:
    """A warden that is asked to end takes all with it."""
    os.kill(detached.pid, number)

    wait_until(marked.none)
    detached.stop()


def test_forks_during_the_kill_are_ended(marked: Marked) -> None:
    """Detached processes that are still being started while others are killed are caught too."""
    program = (
        "import os, time\n"
        "for _ in range(300):\n"
        "    if os.fork() == 0: os.setsid(); time.sleep(999)\n"
        "    time.sleep(0.002)\n"
    )
    guarded = guard(["/bin/sh", "-c", f"setsid --fork {sys.executable} -c '{program}'; sleep 999"])
    wait_until(lambda: len(marked.pids()) > 10)

    guarded.stop(grace_s=0)

    assert marked.none()


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 3", 3), ("exit 0", 0), ("kill -TERM $$", 143), ("kill -KILL $$", 137)],
)
def test_exit_code_is_the_commands(script: str, code: int) -> None:
    """The warden ends with the command's exit code, 128 + n for signal n."""
    guarded = guard(["/bin/sh", "-c", script])

    assert guarded.wait(10) == code
    guarded.stop()


@pytest.mark.parametrize(
    ("trap", "grace_s", "code"), [("exit 7", 10.0, 7), ("", 0.1, 128 + signal.SIGKILL)]
)
def test_grace(tmp_path: Path, trap: str, grace_s: float, code: int) -> None:
    """SIGTERM comes first and its handler may finish; who ignores it is killed after the grace."""
    ready = tmp_path / "ready"
    script = f"trap '{trap}' TERM; touch {ready}; while :; do sleep 0.01; done"
    guarded = guard(["/bin/sh", "-c", script])
    wait_until(ready.exists)

    assert guarded.stop(grace_s) == code


def test_unknown_program(tmp_path: Path) -> None:
    """A program that does not exist ends with 127 and is named on stderr."""
    with (tmp_path / "stderr").open("wb") as stderr:
        guarded = guard(["no-such-program"], stderr=stderr)
    code = guarded.wait(10)
    guarded.stop()

    assert code == 127
    assert "cannot run 'no-such-program'" in (tmp_path / "stderr").read_text()


def test_one_stopped_the_other_goes_on() -> None:
    """The pipe of one command is not inherited by the next, which would keep it alive."""
    first, second = guard(["sleep", "9999"]), guard(["sleep", "9999"])

    first.stop()

    assert second.poll() is None
    second.stop()


def test_sigint_of_the_terminal_does_not_reach_the_command() -> None:
    """Command and warden are in a session of their own, so Ctrl-C is the parent's alone."""
    guarded = guard(["sleep", "9999"])

    assert os.getsid(guarded.pid) == guarded.pid
    guarded.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE])
def test_no_signal_is_ignored_by_the_command(number: signal.Signals) -> None:
    """What the parent ignores (a shell's background job, Python) the command does not."""
    script = PARENT + "sys.exit(kept.wait())"
    ignoring = "trap '' INT QUIT PIPE; exec \"$@\""
    command = ["/bin/sh", "-c", f"kill -{number} $$; exit 0"]

    done = subprocess.run(
        ["/bin/sh", "-c", ignoring, "sh", sys.executable, "-c", script, *command], check=False
    )

    assert done.returncode == 128 + number


def test_command_inherits_the_standard_streams_only(tmp_path: Path) -> None:
    """Neither end of the pipe reaches the command."""
    with (tmp_path / "open").open("wb") as stdout:
        guarded = guard(["ls", "/proc/self/fd"], stdout=stdout)
    guarded.wait(10)
    guarded.stop()

    # The fourth is the folder that ls reads.
    assert (tmp_path / "open").read_text().split() == ["0", "1", "2", "3"]


def test_folder_is_removed_after_the_end(tmp_path: Path) -> None:
    """The folder given to the warden goes with the command, write-protected parts included."""
    folder = tmp_path / "work"
    (folder / "sub" / "deeper").mkdir(parents=True)
    (folder / "sub" / "link").symlink_to(tmp_path)
    (folder / "sub").chmod(0o500)

    guard(["true"], remove=folder).stop()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", [Guarded.stop, Guarded.release])
def test_end_of_what_has_ended(end: Callable[[Guarded], object]) -> None:
    """To stop or release a command that has already ended is not an error, and may be repeated."""
    guarded = guard(["true"])
    guarded.wait(10)

    end(guarded)
    end(guarded)

    assert guarded.poll() == 0

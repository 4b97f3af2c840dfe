"""Signals: a handler only notes them, and a run acts on them where it can end without harm.

Python's handler for Ctrl-C and Prefect's for SIGTERM raise between any two bytecodes: a lock of
Prefect's can then stay locked for ever, or the exception becomes another one. Here the thread
that works raises at safe points, the borders of its steps and the turns of its waits. If it comes
to none, it is interrupted where that breaks nothing; and if the clean-up does not begin, a
watchdog starts the deletions.
"""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType, TracebackType
from typing import Any, Self

from prefect_azure_batch.service.movement import Movement

NUMBERS = (signal.SIGINT, signal.SIGTERM)
PAUSE_SLICE_S = 0.1
# A safe point is rarely farther away; a call in flight can take minutes.
INTERRUPT_AFTER_S = 1.0
INTERRUPT_EVERY_S = 0.1
# Prefect kills a cancelled run 30 s after it was asked to end.
RESCUE_AFTER_S = 10.0
EXIT_AFTER_S = 10.0
STUCK_S = 60.0
# What holds locks that others need, or changes an exception into another one.
FRAGILE = frozenset(
    {
        *("contextlib", "threading", "queue", "logging", "concurrent", "asyncio", "anyio"),
        *("pydantic", "pydantic_core", "rich", "prefect"),
    }
)
OUR_PACKAGE = __name__.partition(".")[0]

Rescue = Callable[[], object]
"""Starts the deletions of a run, in another thread than its own."""


class RunSignals:
    """SIGINT and SIGTERM to a process while a run of its main thread has something to delete.

    In another thread no handler is installed, and signals do what they did before.

    Args:
        rescue: called by the watchdog if the clean-up does not begin.
        movement: of the run.
        is_cleaning: whether the clean-up is all that there is to do.

    Attributes:
        first: the first signal that was noted, of those that have not been answered.
    """

    def __init__(self, rescue: Rescue, movement: Movement, *, is_cleaning: bool = False) -> None:
        self._rescue, self.movement = rescue, movement
        self.first: signal.Signals | None = None
        self._num_noted = dict.fromkeys(NUMBERS, 0)
        self._num_interruptions = 0
        self._is_raised = False
        self._is_cleaning, self._was_signalled = is_cleaning, is_cleaning
        self._is_deleting = False
        self._is_waiting_for_person = False
        self._previous: dict[signal.Signals, Any] = {}
        # One object: Prefect looks whether the handler is the one that it knows.
        self._handler = self._note

    @property
    def is_installed(self) -> bool:
        """Whether signals are noted here."""
        return bool(self._previous)

    def __enter__(self) -> Self:
        """Install the handlers, if this is the main thread."""
        if threading.current_thread() is not threading.main_thread() or _current.signals:
            return self
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        self._main = threading.get_ident()
        self._watchdog = threading.Thread(target=self._watch, name="signals", daemon=True)
        _current.signals = self
        with _prefect_lock():
            for number in NUMBERS:
                before = signal.getsignal(number)
                # What is ignored, as by nohup, stays so; what C code installed cannot be put back.
                if before not in {signal.SIG_IGN, None}:
                    self._previous[number] = before
                    signal.signal(number, self._handler)
            _tell_prefect(self._previous.get(signal.SIGTERM), self._handler)
        self._watchdog.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put back what was there; a signal that nothing was raised for is raised now."""
        if _current.signals is not self:
            return
        with _prefect_lock():
            _tell_prefect(self._handler, self._previous.get(signal.SIGTERM))
            for number, before in self._previous.items():
                signal.signal(number, before)
        _current.signals = None
        os.close(self._waker)
        self._watchdog.join()
        os.close(self._wake)
        if self.first and not isinstance(error, exceptions_of(self.first)):
            self._raise(error)

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: between any two bytecodes of the main thread, so it takes no lock."""
        if self._num_interruptions:
            self._num_interruptions -= 1
            if not self._is_raised and self._is_harmless(frame):
                self._raise_first()
            return
        noted = signal.Signals(number)
        self._num_noted[noted] += 1
        if self.first is None:
            self.first = noted
            os.write(self._waker, b"!")

    def _is_harmless(self, frame: FrameType | None) -> bool:
        """Tell whether an exception in this frame leaves no lock locked and stays what it is."""
        while frame is not None:
            module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
            if module == OUR_PACKAGE:
                return True
            if module in FRAGILE and not self._is_waiting_for_person:
                return False
            if self._is_waiting_for_person and frame.f_code.co_name in {"wait", "result"}:
                return True
            frame = frame.f_back
        return True

    def check(self) -> None:
        """Raise what is due, at a safe point of the main thread.

        Raises:
            BaseException: what the handler raises that was there before.
        """
        if self.first is None or threading.get_ident() != self._main:
            return
        if not self._is_cleaning:
            if not self._is_raised:
                self._raise_first()
        elif self._num_noted[signal.SIGINT] > self._num_borne:
            # Somebody insists. A machine that does so ends the process by SIGKILL.
            self._num_noted[signal.SIGINT] = 0
            self._is_raised = True
            self._call_previous(signal.SIGINT)

    @property
    def _num_borne(self) -> int:
        """How many times Ctrl-C can be pressed before the clean-up is given up."""
        return 0 if self._was_signalled else 1

    def take_interrupt(self) -> bool:
        """Tell whether Ctrl-C was pressed as an answer to a question, and forget it."""
        if self.first is not signal.SIGINT:
            return False
        self._num_noted[signal.SIGINT] = 0
        self.first, self._is_raised = None, False
        return True

    @contextmanager
    def waiting_for_person(self) -> Iterator[None]:
        """Let a signal interrupt the block where it waits, also in Prefect's code."""
        self._is_waiting_for_person = True
        try:
            yield
        finally:
            self._is_waiting_for_person = False

    def begin_clean_up(self) -> None:
        """Take note that the run is over, whatever comes now."""
        self._was_signalled = self._was_signalled or self.first is not None
        if self.first:
            # The first one has done its work; those that came with it are no insisting.
            self._num_noted[signal.SIGINT] = 0
        self._is_cleaning = True

    def begin_deletions(self) -> None:
        """Take note that deletions are being started: no watchdog needs to."""
        self._is_deleting = True

    def _raise_first(self) -> None:
        number = self.first
        if number is None:
            return
        self._is_raised = True
        self._call_previous(number)
        # The handler that was there before has found nothing to raise: the run continues.
        self._is_raised, self.first = False, None

    def _call_previous(self, number: signal.Signals) -> None:
        before = self._previous.get(number, signal.SIG_DFL)
        if callable(before):
            before(number, None)
            return
        raise exceptions_of(number)[0](number)

    def _raise(self, cause: BaseException | None) -> None:
        """Raise for the first signal after the run: its error was made of that signal."""
        number = self.first
        if number is None:
            return
        try:
            self._call_previous(number)
        except BaseException as error:
            for note in getattr(cause, "__notes__", ()):
                error.add_note(note)
            raise error from cause

    def _watch(self) -> None:
        """Be the watchdog: from the first signal to the end of the clean-up."""
        select.select([self._wake], [], [])
        if not os.read(self._wake, 1):
            return
        began = time.monotonic()
        rescued_after_s = 0.0
        while not self._is_over(self._pause_s()):
            waited_s = time.monotonic() - began
            if self._is_deleting:
                if self.movement.age_s > STUCK_S:
                    self._end_process("its clean-up did not move for a minute")
                continue
            if not self._is_cleaning and not self._is_raised and waited_s > INTERRUPT_AFTER_S:
                self._interrupt()
            if not rescued_after_s and waited_s > RESCUE_AFTER_S:
                say(f"the clean-up has not begun for {waited_s:.0f} s: its deletions are started")
                self._try_rescue()
                rescued_after_s = time.monotonic() - began
            elif rescued_after_s and waited_s > rescued_after_s + EXIT_AFTER_S:
                self._end_process(f"its clean-up has not begun for {waited_s:.0f} s")

    def _pause_s(self) -> float:
        return INTERRUPT_EVERY_S if not self._is_raised else 2 * INTERRUPT_EVERY_S

    def _is_over(self, pause_s: float) -> bool:
        """Wait; tell whether the handlers are gone."""
        readable, _, _ = select.select([self._wake], [], [], pause_s)
        return bool(readable) and not os.read(self._wake, 1)

    def _interrupt(self) -> None:
        """Have the handler look whether the main thread can be interrupted where it is."""
        if self.first:
            self._num_interruptions = 1
            signal.pthread_kill(self._main, self.first)

    def _try_rescue(self) -> None:
        # In a thread of its own: a service that does not answer must not keep the process.
        threading.Thread(target=self._rescue, name="rescue", daemon=True).start()

    def _end_process(self, why: str) -> None:
        """End the process of a run that cannot end, if it is the run's own."""
        if not self.first or not _current.is_own_process():
            return
        say(f"{why}: this process ends")
        for before_exit in _current.before_exit:
            before_exit()
        os._exit(128 + self.first)


class _Current:
    """What this process has to do with signals.

    Attributes:
        signals: of the run in the main thread, while there is one.
        before_exit: called before the watchdog ends the process; it is the run's own if there is
            one.
    """

    def __init__(self) -> None:
        self.signals: RunSignals | None = None
        self.before_exit: list[Callable[[], object]] = []

    def is_own_process(self) -> bool:
        """Tell whether the process is there for the run: a command's, or one of a worker's."""
        return bool(self.before_exit) or "PREFECT__FLOW_RUN_ID" in os.environ


_current = _Current()


def own_process(before_exit: Callable[[], object]) -> None:
    """Say that this process is there for its run only, and what to do before it is ended."""
    _current.before_exit.append(before_exit)


def current_signals() -> RunSignals | None:
    """Return the signals of the run in the main thread, if there is one."""
    return _current.signals


def check_signals() -> None:
    """Raise what is due for a signal, at a safe point."""
    if _current.signals:
        _current.signals.check()


def pause(seconds: float) -> None:
    """Sleep, which is a turn of a wait; in the main thread of a run a signal ends it."""
    deadline = time.monotonic() + seconds
    signals = _current.signals
    while True:
        check_signals()
        if signals:
            signals.movement.note()
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return
        time.sleep(min(left_s, PAUSE_SLICE_S) if signals else left_s)


def exceptions_of(number: signal.Signals) -> tuple[type[BaseException], ...]:
    """Return what a signal becomes in a flow."""
    if number is signal.SIGINT:
        return (KeyboardInterrupt,)
    from prefect.exceptions import TerminationSignal  # noqa: PLC0415 - Prefect

    return (TerminationSignal,)


def say(text: str) -> None:
    """Write a line to standard error, without a lock that another thread may hold."""
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{text}\n".encode())


def _prefect_lock() -> AbstractContextManager[Any]:
    from prefect.utilities import engine  # noqa: PLC0415 - Prefect

    return getattr(engine, "_prefect_sigterm_bridge_lock", None) or nullcontext()


def _tell_prefect(before: object, after: object) -> None:
    """Have Prefect take our handler of SIGTERM for its own, or its own again.

    A worker asks whether it is there before it cancels a run; if it is not, the run would be
    crashed, not cancelled.
    """
    from prefect.utilities import engine  # noqa: PLC0415 - Prefect

    name = "_prefect_sigterm_handler"
    if before is not None and getattr(engine, name, None) is before:
        setattr(engine, name, after)

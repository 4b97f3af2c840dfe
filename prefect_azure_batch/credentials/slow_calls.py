"""Calls of a service that take long: said while they last, so that nobody waits in the dark."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from threading import Lock, Thread
from urllib.parse import urlsplit

from prefect.exceptions import MissingContextError
from prefect.logging import get_logger, get_run_logger

# Who waits longer wants to know for what.
VISIBLE_AFTER_S = 10.0
AGAIN_AFTER_S = 30.0
LOOK_S = 1.0


def warn(text: str) -> None:
    """Write a warning into the log of the run, or of the process where there is no run."""
    try:
        get_run_logger().warning("%s", text)
    except MissingContextError:
        get_logger("prefect_azure_batch").warning("%s", text)


@dataclass(eq=False)
class _Call:
    """A call in flight: to which host, since when, and in whose log it is reported."""

    host: str
    context: Context = field(default_factory=copy_context)
    began: float = field(default_factory=time.monotonic)
    report_after_s: float = field(default_factory=lambda: VISIBLE_AFTER_S)

    def report(self, now: float) -> None:
        """Report it if it is time."""
        waited_s = now - self.began
        if waited_s < self.report_after_s:
            return
        self.report_after_s = waited_s + AGAIN_AFTER_S
        text = f"no answer from {self.host} for {waited_s:.0f} s; still waiting"
        self.context.copy().run(warn, text)


class SlowCalls:
    """The calls of this process that are in flight, of all its clients, watched by a thread."""

    def __init__(self) -> None:
        self._calls: dict[int, _Call] = {}
        self._thread: Thread | None = None
        self._starting = Lock()

    @contextmanager
    def noted(self, url: str) -> Iterator[None]:
        """Report the call of the block if it takes long, repeated tries and pauses included.

        Args:
            url: of the request; only its host is ever shown.
        """
        self._watch()
        call = _Call(urlsplit(url).netloc)
        # Setting and taking out one key is safe beside a thread that copies the dictionary.
        self._calls[id(call)] = call
        try:
            yield
        finally:
            del self._calls[id(call)]

    def _watch(self) -> None:
        """Have the thread, also in a process that was forked from one that had it."""
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._report, name="slow calls", daemon=True)
                self._thread.start()

    def _report(self) -> None:
        while True:
            time.sleep(LOOK_S)
            now = time.monotonic()
            for call in list(self._calls.values()):
                call.report(now)


slow_calls = SlowCalls()
"""Of this process."""

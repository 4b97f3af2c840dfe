"""Processes: pieces of work that are done at once, each in a forked process."""

from __future__ import annotations

import contextlib
import marshal
import os
import signal
from typing import TYPE_CHECKING, NoReturn

from word_counter.refusals import ExitCode, Refusal, as_refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any


@contextlib.contextmanager
def in_processes(work: Callable[[int], Any], items: Iterable[int]) -> Iterator[list[Child]]:
    """Work on items, each in a process of its own; those that still run at the end are stopped."""
    children: list[Child] = []
    try:
        for item in items:
            children.append(Child(work, item))  # noqa: PERF401 - those there are ended if one fails
        yield children
    finally:
        for child in children:
            child.end()


class Child:
    """A forked process that does one piece of work and sends back what it returns."""

    def __init__(self, work: Callable[[int], Any], item: int) -> None:
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reader)
            self.work(work, item, writer)
        os.close(writer)
        self.pipe = open(reader, "rb")  # noqa: SIM115 - `end` closes it

    @staticmethod
    def work(work: Callable[[int], Any], item: int, writer: int) -> NoReturn:
        """Do the work and end the process."""
        status = 1
        try:
            try:
                message = (0, work(item))
            except Exception as error:  # noqa: BLE001 - the parent reports it
                refusal = as_refusal(error)
                message = (int(refusal.exit_code), str(refusal))
            with open(writer, "wb") as pipe:
                marshal.dump(message, pipe, 2)  # without references: no object is there twice
            status = 0
        finally:
            os._exit(status)

    def result(self) -> Any:
        """Wait for the result.

        Raises:
            Refusal: the work was refused, or the process was killed.
        """
        try:
            # Much faster than `load`, which reads a file object by object.
            exit_code, value = marshal.loads(self.pipe.read())  # noqa: S302 - of our own process
        except EOFError as error:
            reason = "a process that counted was killed, perhaps for want of memory"
            raise Refusal(ExitCode.INTERNAL, reason) from error
        if exit_code:
            raise Refusal(ExitCode(exit_code), value)
        return value

    def end(self) -> None:
        """Stop the process if it still runs, and collect it."""
        self.pipe.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

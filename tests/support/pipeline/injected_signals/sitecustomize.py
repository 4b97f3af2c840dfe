"""A signal to a run's main thread at a chosen place of code that is not its own.

Python imports this module at its start where its folder is on `PYTHONPATH`. `SIGNAL_AT` says which
signal, at which place, and how many times the run passes there before: `SIGTERM condition 3`.
"""

import os
import signal
import sys
import threading
from typing import Any

RUN = "run_job"


def _is_run() -> bool:
    """Tell whether this is the main thread, within the steps of a run."""
    # Not `current_thread`: a thread that is just beginning would be made another one.
    if threading.get_ident() != threading.main_thread().ident:
        return False
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code.co_name == RUN:
            return True
    return False


class _Injection:
    """One signal to come.

    Args:
        number: which one.
        place: where.
        num_before: how often the run passes there before.
    """

    def __init__(self, number: signal.Signals, place: str, num_before: int) -> None:
        self._number, self._place, self._left = number, place, num_before
        self._has_patched_prefect = False
        enter = threading.Condition.__enter__

        def entered(condition: threading.Condition) -> bool:
            """Take the lock; a handler that raises in here leaves it locked for ever."""
            taken = bool(enter(condition))
            if _is_run():
                self._patch_prefect()
                self._pass("condition")
            return taken

        threading.Condition.__enter__ = entered  # type: ignore[method-assign]

    def _pass(self, place: str) -> None:
        if place != self._place or self._left < 0:
            return
        self._left -= 1
        if self._left < 0:
            os.write(2, f"signal {self._number.name} at {place}\n".encode())
            os.kill(os.getpid(), self._number)

    def _patch_prefect(self) -> None:
        """Watch Prefect's and pydantic's code, too, now that both are imported."""
        if self._has_patched_prefect:
            return
        self._has_patched_prefect = True
        from prefect.task_engine import SyncTaskRunEngine  # noqa: PLC0415 - not in every process
        from pydantic import BaseModel  # noqa: PLC0415 - not in every process

        self._watch(SyncTaskRunEngine, "initialize_run", "step")
        self._watch(BaseModel, "model_dump_json", "serialisation")
        self._watch(BaseModel, "model_dump", "serialisation")

    def _watch(self, owner: Any, name: str, place: str) -> None:
        before: Any = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            """Pass a place."""
            if _is_run():
                self._pass(place)
            return before(*args, **kwargs)

        setattr(owner, name, watched)


if _given := os.environ.get("SIGNAL_AT"):
    _name, _place, _num_before = _given.split()
    _Injection(signal.Signals[_name], _place, int(_num_before))

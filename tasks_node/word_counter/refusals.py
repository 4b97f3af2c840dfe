"""Refusals: reasons to stop that a user can act on, and their exit codes."""

from __future__ import annotations

import contextlib
import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class ExitCode(enum.IntEnum):
    """What the exit code says."""

    OK = 0
    USAGE = 2
    INPUT = 3
    UPLOAD = 4
    OUTPUT = 5
    INTERNAL = 70


class Refusal(Exception):  # noqa: N818 - it is an answer to the user, not a defect
    """A reason to stop that the user can act on: one line, and the exit code that goes with it."""

    def __init__(self, exit_code: ExitCode, reason: str) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


@contextlib.contextmanager
def refused(exit_code: ExitCode, what: str) -> Iterator[None]:
    """Turn errors of the operating system into refusals that name what they are about."""
    try:
        yield
    except OSError as error:
        raise Refusal(exit_code, f"{what}: {error.strerror or error}") from error


def as_refusal(error: Exception) -> Refusal:
    """Return an error as a refusal; a defect without its text, which may hold the SAS."""
    if isinstance(error, Refusal):
        return error
    import traceback
    from pathlib import Path

    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}:{place.lineno}"
    return Refusal(ExitCode.INTERNAL, f"internal error: {type(error).__name__} at {where}")

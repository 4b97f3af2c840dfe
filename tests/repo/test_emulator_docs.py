"""docs/emulator.md says of every operation of the service what the emulator makes of it."""

import re
from pathlib import Path

from local_azure.batch.server.routes import IMPLEMENTED, NOT_IMPLEMENTED

TEXT = (Path(__file__).resolve().parents[2] / "docs/emulator.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) ?\|$", TEXT, re.MULTILINE)


def test_every_operation_stands_there_once() -> None:
    """The table has the operations of the routes, no more and no fewer."""
    documented = sorted(name for name, _, _ in ROWS)

    assert documented == sorted(operation.name for operation in (*IMPLEMENTED, *NOT_IMPLEMENTED))


def test_support_is_what_the_routes_have() -> None:
    """Full and partial ones have a handler, the others none."""
    without = {name for name, support, _ in ROWS if support == "none"}

    assert without == {operation.name for operation in NOT_IMPLEMENTED}
    assert {support for _, support, _ in ROWS} == {"full", "partial", "none"}


def test_partial_support_names_what_is_missing() -> None:
    """And only partial support does."""
    assert all(bool(missing) == (support == "partial") for _, support, missing in ROWS)


def test_it_is_not_long() -> None:
    """It has 150 lines at most."""
    assert len(TEXT.splitlines()) <= 150

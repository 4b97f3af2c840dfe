"""What is printed on a terminal: names and texts of others are shown, and never obeyed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from cyclopts import App

from prefect_azure_batch.command_line.app import exit_code_of
from prefect_azure_batch.command_line.terminal import cell, print_json, table_of
from prefect_azure_batch.errors import BadInput
from prefect_azure_batch.model.left_out import LeftOut

HOSTILE = "a\x1b[2J\u202e\x9b[b]\n"


@dataclass
class Planned:
    """A result that is only a plan."""

    num_inputs: int = 0
    plan: Mapping[str, str] = field(default_factory=dict)
    left_out: Sequence[LeftOut] = ()


def test_cells() -> None:
    """They have neither markup nor control characters, and stay on their line."""
    assert cell(HOSTILE) == r"a\x1b[2J\u202e\x9b\[b]\n"


def test_table() -> None:
    """Every cell is made safe."""
    (column,) = table_of(("A",), [{"a": HOSTILE}]).columns

    assert list(column.cells) == [cell(HOSTILE)]


def test_plan_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """What is unsafe in it is escaped; who reads it has all of it."""
    print_json(Planned(plan={"program": HOSTILE}), None)

    printed = capsys.readouterr().out
    assert json.loads(printed) == {"program": HOSTILE}
    assert not {"\x1b", "\u202e", "\x9b"} & set(printed)


class Failing(App):
    """A command that fails."""

    def __call__(self, *_: object, **__: object) -> object:
        """Fail."""
        error = BadInput(f"no {HOSTILE}")
        error.add_note("look at \x1b[31m")
        raise error


def test_errors(capsys: pytest.CaptureFixture[str]) -> None:
    """An error, with its notes, is text, whatever it repeats."""
    assert exit_code_of(Failing()) == 1
    assert capsys.readouterr().err == ("error: no a\\x1b[2J\\u202e\\x9b[b]\n\nlook at \\x1b[31m\n")

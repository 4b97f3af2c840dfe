"""The dead man's switch: for how many nodes its formula asks, and when."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from local_azure.batch.autoscale.formula import Scope, parse
from local_azure.batch.state.samples import Samples
from prefect_azure_batch.model.run import new_run
from prefect_azure_batch.service.dead_mans_switch import (
    NO_NODES,
    asks_for_fixed_nodes,
    until_waste,
    while_needed,
    with_switch,
)
from prefect_azure_batch.service.specs import capped_formula
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings

METRICS = frozenset({"$PendingTasks"})
BEGAN = datetime(2026, 11, 22, 12, tzinfo=UTC)
BEGINNING, WASTE = BEGAN + timedelta(minutes=30), BEGAN + timedelta(hours=26)
SHORT, LONG = timedelta(minutes=20), timedelta(hours=30)


def asked(formula: str, after: timedelta, pending: float | None) -> tuple[float, float]:
    """Return for how many dedicated and spot nodes a formula asks.

    Args:
        formula: which.
        after: how long after the pool was created.
        pending: batch tasks in the last sample; None: there is no sample.
    """
    samples = Samples()
    if pending is not None:
        samples.add(BEGAN + after - timedelta(seconds=30), {"$PendingTasks": float(pending)})
    targets = {"$TargetDedicatedNodes": 0.0, "$TargetLowPriorityNodes": 0.0}
    scope = Scope(now=BEGAN + after, current={}, samples=samples, variables=dict(targets))
    parse(capped_formula(formula, 100), metrics=METRICS, readable=frozenset())(scope)
    return tuple(float(str(scope.variables[name])) for name in targets)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("after", "pending", "nodes"),
    [
        (timedelta(0), None, (3, 2)),
        (SHORT, 0, (3, 2)),
        (timedelta(hours=1), 5, (3, 2)),
        (timedelta(hours=1), 0, (0, 0)),
        # Samples can be lost; work in progress must not be.
        (timedelta(hours=1), None, (3, 2)),
        (LONG, 5, (0, 0)),
        (LONG, None, (0, 0)),
    ],
)
def test_nodes_are_there_while_they_are_needed(
    after: timedelta, pending: float | None, nodes: tuple[int, int]
) -> None:
    """Nodes are asked for at the beginning, then while batch tasks wait, and none when waste."""
    assert asked(while_needed(3, 2, BEGINNING, WASTE), after, pending) == nodes


@pytest.mark.parametrize(
    ("formula", "is_ours"),
    [
        (capped_formula(while_needed(3, 2, BEGINNING, WASTE), 100), True),
        (until_waste("$TargetDedicatedNodes = 7;", WASTE), False),
        (None, False),
    ],
)
def test_own_formula_is_known_again(formula: str | None, *, is_ours: bool) -> None:
    """A pool tells by its formula whether it asks for numbers of nodes, as a plain one does."""
    assert asks_for_fixed_nodes(formula) is is_ours


@pytest.mark.parametrize(("after", "nodes"), [(SHORT, (7, 1)), (LONG, (0, 0))])
def test_formula_of_a_person(after: timedelta, nodes: tuple[int, int]) -> None:
    """A formula that was given holds until everything of the run is waste."""
    given = "$TargetDedicatedNodes = 7;\n$TargetLowPriorityNodes = 1;\n"

    assert asked(until_waste(given, WASTE), after, pending=1) == nodes


def test_no_nodes() -> None:
    """A pool that nobody works on is asked for nothing."""
    assert asked(NO_NODES, SHORT, pending=1) == (0, 0)


def test_only_by_setting() -> None:
    """Without the setting a pool stays as it is; with it, its beginning has its allocation time."""
    run = new_run(UUID(int=1), 1, JobSettings(), CleanUpPolicy())
    plain = PoolSettings(dedicated_nodes=3, allocation_timeout_s=900)

    guarded_settings = with_switch(plain.model_copy(update={"dead_mans_switch": True}), run, BEGAN)

    assert with_switch(plain, run, BEGAN) is plain
    expected = while_needed(3, 0, BEGAN + timedelta(minutes=30), run.delete_after)
    assert guarded_settings.autoscale_formula == expected


def test_given_formula_is_guarded() -> None:
    """The switch also bounds a formula that was given."""
    run = new_run(UUID(int=1), 1, JobSettings(), CleanUpPolicy())
    given = PoolSettings(autoscale_formula="$TargetDedicatedNodes = 7", dead_mans_switch=True)

    formula = with_switch(given, run, BEGAN).autoscale_formula

    assert formula == until_waste("$TargetDedicatedNodes = 7", run.delete_after)

"""The language of autoscale formulas, without an emulator around it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local_azure.batch.autoscale.formula import FormulaError, Scope, parse
from local_azure.batch.state.samples import Samples

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
METRICS = frozenset({"$PendingTasks", "$CurrentDedicatedNodes"})
READABLE = frozenset({"$CurrentDedicatedNodes"})


def a_scope() -> Scope:
    """Return what a formula sees: 5 minutes of samples, 0 tasks at first and 9 at last."""
    samples = Samples()
    for number in range(10):
        when = NOW - timedelta(seconds=30 * (9 - number))
        samples.add(when, {"$PendingTasks": float(number), "$CurrentDedicatedNodes": 2.0})
    return Scope(now=NOW, current={"$CurrentDedicatedNodes": 2.0}, samples=samples)


def evaluated(text: str) -> dict[str, Any]:
    """Return the variables that a formula leaves."""
    scope = a_scope()
    parse(text, metrics=METRICS, readable=READABLE)(scope)
    return scope.variables


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("8 - 4 - 2", 2),
        ("8 / 4 / 2", 1),
        ("-2 * -3", 6),
        (".5 + 1.", 1.5),
        ("2 < 3", 1),
        ("2 >= 3", 0),
        ("1 + 1 == 2", 1),
        ("1 != 1", 0),
        ("1 < 2 && 2 < 1", 0),
        ("0 || 3 > 2", 1),
        ("!0 && 1", 1),
        ("!5", 0),
        ("1 > 2 ? 10 : 20", 20),
        ("1 ? 0 ? 1 : 2 : 3", 2),
        ("min(3, 1, 2)", 1),
        ("max(1, 2 + 3)", 5),
        ("avg(1, 2, 6)", 3),
        ("sum(1, 2, 3)", 6),
        ("max($PendingTasks.GetSample(3), 1)", 9),
        ("min($PendingTasks.GetSample(3))", 7),
        ("avg($PendingTasks.GetSample(TimeInterval_Minute))", 8),
        ("avg($PendingTasks.GetSample(60 * TimeInterval_Second, 100))", 8),
        ("sum($PendingTasks.GetSample(2 * TimeInterval_Minute, TimeInterval_Minute))", 18),
        ("max($PendingTasks.GetSample(time() - 2 * TimeInterval_Minute, time()))", 9),
        ("$PendingTasks.GetSamplePercent(TimeInterval_Minute * 2)", 100),
        ("$PendingTasks.GetSamplePercent(TimeInterval_Hour) < 10", 1),
        ("$CurrentDedicatedNodes + 1", 3),
        ("max($CurrentDedicatedNodes.GetSample(1))", 2),
        ('time() > time("2026-11-22T11:00:00Z")', 1),
        ('(time() - time("2026-11-22T11:00:00Z")) / TimeInterval_Minute', 60),
        ("TimeInterval_Day == 24 * TimeInterval_Hour", 1),
        ("1 /* two */ + 1 // three", 2),
    ],
)
def test_values(expression: str, value: float) -> None:
    """Operators, functions and samples give what the service's documentation says."""
    assert evaluated(f"x = {expression}\n;") == {"x": value}


def test_variables_can_be_used_once_they_are_assigned() -> None:
    """Assignments are carried out in order."""
    assert evaluated("n = 2; $mine = n * 2; n = $mine + 1;") == {"n": 5, "$mine": 4}


def test_only_the_branch_taken_is_evaluated() -> None:
    """So a formula can ask whether there are samples before it takes them."""
    text = "x = $PendingTasks.GetSamplePercent(TimeInterval_Day) < 50 ? 1 : 1 / 0;"

    assert evaluated(text) == {"x": 1}


def test_how_variables_are_written() -> None:
    """As in autoScaleRun.results: name=value, joined by semicolons."""
    scope = a_scope()
    text = (
        "$TargetDedicatedNodes = 3; $NodeDeallocationOption = taskcompletion; x = 1 / 8;"
        "big = 1234567; s = $PendingTasks.GetSample(2); t = time(); i = TimeInterval_Minute"
    )

    parse(text, metrics=METRICS, readable=READABLE)(scope)

    assert scope.written() == (
        "$TargetDedicatedNodes=3;$NodeDeallocationOption=taskcompletion;x=0.125;big=1234567;"
        "s=[9,8];t=2026-11-22T12:00:00.000000Z;i=60s"
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("x = $CPUPercent.GetSample(1);", "$CPUPercent"),
        ("x = y;", "y"),
        ("x = ln(1);", "ln"),
        ("x = $PendingTasks.Count();", "Count"),
        ("x = $PendingTasks;", "$PendingTasks"),
        ("$PendingTasks = 1;", "$PendingTasks"),
        ("$CurrentDedicatedNodes = 1;", "$CurrentDedicatedNodes"),
        ("$TargetDedicated = 1;", "$TargetDedicated"),
        ("x = 1 y = 2;", "y"),
        ("x = (1;", ";"),
        ("x = ;", ";"),
        ("x = min(1 2);", "2"),
        ("x 1;", "1"),
        ("x = 1 ? 2;", ";"),
        ("x = #;", "#"),
        ("x =", "the end"),
        ("1 = x;", "1"),
        ('x = time("yesterday");', "yesterday"),
        ("x = " + "(" * 4000, "deeply"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, named: str) -> None:
    """A formula that is wrong is refused before it is evaluated, with the culprit's name."""
    with pytest.raises(FormulaError, match=named.replace("$", r"\$")):
        parse(text, metrics=METRICS, readable=READABLE)


@pytest.mark.parametrize(
    "text",
    [
        "x = 1 / 0;",
        "x = 1 + TimeInterval_Minute;",
        "x = -requeue;",
        "x = requeue + terminate;",
        "x = $PendingTasks.GetSample(1) + $PendingTasks.GetSample(1);",
        "x = time() * 2;",
        "x = min();",
        "x = min(time());",
        "x = $PendingTasks.GetSample();",
        "x = $PendingTasks.GetSample(0);",
        "x = $PendingTasks.GetSample(1, 0);",
        "x = $PendingTasks.GetSample(1, 2, 3, 4);",
        "x = $PendingTasks.GetSample(TimeInterval_Day, 50);",
        "x = $PendingTasks.GetSamplePercent(5);",
        'x = $PendingTasks.GetSample(time("2020-01-01"));',
        "x = time() + 1000000 * TimeInterval_Year;",
        "$TargetDedicatedNodes = time();",
        f"$TargetDedicatedNodes = {'9' * 400};",
        "$NodeDeallocationOption = 1;",
        f"x = {'1+' * 4000}1;",
    ],
)
def test_what_cannot_be_evaluated(text: str) -> None:
    """Wrong types, divisions by zero and missing samples are errors of the formula."""
    with pytest.raises(FormulaError):
        evaluated(text)


def test_an_error_keeps_what_was_assigned_before_it() -> None:
    """The results of a failed evaluation show how far it came."""
    scope = a_scope()
    evaluate = parse("x = 1; y = x / 0; z = 2;", metrics=METRICS, readable=READABLE)

    with pytest.raises(FormulaError, match="y cannot be evaluated"):
        evaluate(scope)

    assert scope.variables == {"x": 1}

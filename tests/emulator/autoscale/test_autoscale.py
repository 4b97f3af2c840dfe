"""Pools of the Batch emulator whose size a formula decides."""

from datetime import timedelta
from typing import Any

import pytest
from azure.batch import BatchClient, models

from local_azure.client import Control
from tests.support.emulator import builders as kit
from tests.support.processes import wait_until

FOLLOW_TASKS = "$TargetDedicatedNodes = min(3, max($PendingTasks.GetSample(1)));"
"""A node for each task that is active or running, three at most."""


def an_autoscaled_pool(client: BatchClient, formula: str, **options: Any) -> str:
    """Create a pool with a formula, wait until it has the nodes it should have; return its id."""
    given = {"enable_auto_scale": True, "auto_scale_formula": formula}
    pool = kit.pool_options(target_dedicated_nodes=None, **given | options)
    client.create_pool(pool)
    reach_steady(client, str(pool.id))
    return str(pool.id)


def reach_steady(client: BatchClient, pool_id: str) -> models.BatchPool:
    """Wait until a pool is steady and return it."""
    wait_until(lambda: kit.pool_of(client, pool_id).allocation_state == "steady")
    return kit.pool_of(client, pool_id)


def run_of(pool: models.BatchPool) -> models.AutoScaleRun:
    """Return what the last evaluation of a pool's formula gave."""
    assert pool.auto_scale_run is not None
    return pool.auto_scale_run


def enable(client: BatchClient, pool_id: str, formula: str | None, **options: Any) -> None:
    """Let a formula decide a pool's size."""
    body = models.BatchPoolEnableAutoScaleOptions(auto_scale_formula=formula, **options)
    client.enable_pool_auto_scale(pool_id, body)


def evaluate(client: BatchClient, pool_id: str, formula: str) -> models.AutoScaleRun:
    """Return what a formula would give."""
    body = models.BatchPoolEvaluateAutoScaleOptions(auto_scale_formula=formula)
    return client.evaluate_pool_auto_scale(pool_id, body)


def test_a_new_pool_follows_its_formula_at_once(batch: BatchClient) -> None:
    """It has the nodes that the formula gives, and the defaults of an autoscaled pool."""
    pool = kit.pool_of(batch, an_autoscaled_pool(batch, "$TargetDedicatedNodes = 1 + 1;"))

    assert (pool.enable_auto_scale, pool.current_dedicated_nodes) == (True, 2)
    assert pool.auto_scale_evaluation_interval == timedelta(minutes=15)
    assert run_of(pool).results == (
        "$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0;$NodeDeallocationOption=requeue"
    )
    assert run_of(pool).error is None


def test_enabling_evaluates_at_once(batch: BatchClient, pool: str) -> None:
    """The targets are the formula's; what it does not name stays as it was."""
    enable(batch, pool, "$TargetLowPriorityNodes = 1;")

    found = reach_steady(batch, pool)
    assert (found.current_dedicated_nodes, found.current_low_priority_nodes) == (1, 1)


def test_tasks_that_wait_make_nodes(control: Control, one_try: BatchClient) -> None:
    """A pool grows with its tasks and shrinks without them, at the formula's intervals."""
    pool = an_autoscaled_pool(one_try, FOLLOW_TASKS)
    job = kit.a_job(one_try, pool)
    tasks = [kit.a_task(one_try, job, "true") for _ in range(2)]
    assert not list(one_try.list_nodes(pool))

    control.advance_clock(15 * 60)

    for task in tasks:
        assert kit.info_of(kit.reach(one_try, job, task, "completed")).result == "success"
    assert reach_steady(one_try, pool).target_dedicated_nodes == 2
    control.advance_clock(15 * 60)
    wait_until(lambda: not list(one_try.list_nodes(pool)))


def test_the_interval_decides_when(control: Control, one_try: BatchClient) -> None:
    """There is no evaluation before it is over, and one at its end."""
    interval = timedelta(minutes=5)
    pool = an_autoscaled_pool(
        one_try, "$TargetDedicatedNodes = 0;", auto_scale_evaluation_interval=interval
    )
    first = run_of(kit.pool_of(one_try, pool)).timestamp

    control.advance_clock(290)
    assert run_of(kit.pool_of(one_try, pool)).timestamp == first
    control.advance_clock(15)

    passed = run_of(kit.pool_of(one_try, pool)).timestamp - first
    assert interval <= passed <= interval + timedelta(seconds=15)


def test_samples_are_taken_every_30_seconds(control: Control, one_try: BatchClient) -> None:
    """Ten minutes after its creation a pool has ten minutes of samples, and half of twenty."""
    pool = an_autoscaled_pool(one_try, "$TargetDedicatedNodes = 0;")
    control.advance_clock(600)

    run = evaluate(
        one_try,
        pool,
        "all = $ActiveTasks.GetSamplePercent(10 * TimeInterval_Minute);"
        "half = $ActiveTasks.GetSamplePercent(20 * TimeInterval_Minute);"
        "enough = avg($RunningTasks.GetSample(TimeInterval_Minute * 10, 90));",
    )

    assert run.error is None
    found = dict(part.split("=") for part in str(run.results).split(";"))
    assert (float(found["all"]), found["enough"]) == (100, "0")
    assert float(found["half"]) == pytest.approx(50, abs=5)


def test_what_the_metrics_count(batch: BatchClient) -> None:
    """Active and running tasks, their sum, and the nodes of each kind."""
    pool = an_autoscaled_pool(batch, "$TargetDedicatedNodes = 1; $TargetLowPriorityNodes = 0;")
    job = kit.a_job(batch, pool)
    wait_until(lambda: [node.state for node in batch.list_nodes(pool)] == ["idle"])
    kit.reach(batch, job, kit.a_task(batch, job, kit.sh("exec sleep 60")), "running")
    for _ in range(2):
        kit.a_task(batch, job)

    names = ["$ActiveTasks", "$RunningTasks", "$PendingTasks", "$CurrentDedicatedNodes"]
    formula = "".join(f"v{at} = sum({name}.GetSample(1));" for at, name in enumerate(names))
    results = evaluate(batch, pool, f"{formula} n = $CurrentLowPriorityNodes;").results

    assert str(results).endswith(";v0=2;v1=1;v2=3;v3=1;n=0")


def test_the_deallocation_option_is_used(control: Control, one_try: BatchClient) -> None:
    """A formula that says so lets running tasks complete before their node goes."""
    pool = kit.a_pool(one_try)
    job = kit.a_job(one_try, pool)
    task = kit.a_task(one_try, job, kit.sh("sleep 1"))
    kit.reach(one_try, job, task, "running")

    enable(one_try, pool, "$TargetDedicatedNodes=0; $NodeDeallocationOption=taskcompletion;")

    control.wait_until_idle()
    assert kit.info_of(one_try.get_task(job, task)).result == "success"
    assert not list(one_try.list_nodes(pool))


def test_an_evaluation_changes_nothing(batch: BatchClient) -> None:
    """It shows what would be."""
    pool = an_autoscaled_pool(batch, "$TargetDedicatedNodes = 0;")

    run = evaluate(batch, pool, "$TargetDedicatedNodes = 2.9; $TargetLowPriorityNodes = -1;")

    assert str(run.results).startswith("$TargetDedicatedNodes=2;$TargetLowPriorityNodes=0;")
    assert reach_steady(batch, pool).target_dedicated_nodes == 0


def test_a_formula_that_fails_leaves_the_pool_alone(batch: BatchClient, pool: str) -> None:
    """The error is in the run, in the service's form."""
    enable(batch, pool, "x = 1; $TargetDedicatedNodes = x / 0;")

    found = kit.pool_of(batch, pool)
    error = run_of(found).error
    assert error
    assert error.code == "AutoScalingFormulaEvaluationError"
    assert "$TargetDedicatedNodes" in str((error.error_values or [])[0].value)
    assert (found.allocation_state, found.target_dedicated_nodes) == ("steady", 1)


@pytest.mark.parametrize("formula", ["$TargetDedicatedNodes = $CPUPercent.GetSample(1);", "x ="])
def test_a_formula_that_cannot_be_read(batch: BatchClient, pool: str, formula: str) -> None:
    """It is refused wherever it is given, and the pool is as it was."""
    with kit.refused(400, "AutoScalingFormulaSyntaxError"):
        an_autoscaled_pool(batch, formula)
    with kit.refused(400, "AutoScalingFormulaSyntaxError"):
        enable(batch, pool, formula)
    assert kit.pool_of(batch, pool).enable_auto_scale is False


def test_names_that_there_are_not_are_named(batch: BatchClient, pool: str) -> None:
    """The error says which."""
    with kit.refused(400, "AutoScalingFormulaSyntaxError") as caught:
        enable(batch, pool, "$TargetDedicatedNodes = $NetworkInBytes.GetSample(1);")
    assert "$NetworkInBytes" in str(caught.value)


def test_a_formula_has_8192_characters_at_most(batch: BatchClient, pool: str) -> None:
    """One more is too long."""
    formula = "x = 1;".ljust(8192)
    enable(batch, pool, formula)

    with kit.refused(400, "AutoScalingFormulaTooLong"):
        enable(batch, pool, formula + " ")


@pytest.mark.parametrize("minutes", [4, 168 * 60 + 1])
def test_intervals_have_limits(batch: BatchClient, pool: str, minutes: int) -> None:
    """From five minutes to a week."""
    with kit.refused(400, "InvalidPropertyValue"):
        enable(batch, pool, "x = 1;", auto_scale_evaluation_interval=timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"enable_auto_scale": True}, "MissingRequiredProperty"),
        ({"auto_scale_formula": "x=1;"}, "InvalidAutoScalingSettings"),
        (
            {
                "enable_auto_scale": True,
                "auto_scale_formula": "x=1;",
                "target_dedicated_nodes": 1,
            },
            "InvalidAutoScalingSettings",
        ),
    ],
)
def test_settings_that_do_not_go_together(
    batch: BatchClient, options: dict[str, Any], code: str
) -> None:
    """A pool has a formula or targets."""
    with kit.refused(400, code):
        batch.create_pool(kit.pool_options(**{"target_dedicated_nodes": None} | options))


def test_an_autoscaled_pool_is_not_resized_by_hand(batch: BatchClient) -> None:
    """The formula decides, until autoscale is disabled."""
    pool = an_autoscaled_pool(batch, "$TargetDedicatedNodes = 1;")
    with kit.refused(409, "OperationNotValidOnPool"):
        kit.resize(batch, pool, target_dedicated_nodes=0)

    batch.disable_pool_auto_scale(pool)
    kit.resize(batch, pool, target_dedicated_nodes=0)

    found = kit.pool_of(batch, pool)
    assert (found.enable_auto_scale, found.auto_scale_formula) == (False, None)
    assert found.auto_scale_run is None


def test_a_disabled_formula_is_evaluated_no_more(control: Control, one_try: BatchClient) -> None:
    """The pool keeps the nodes it has."""
    pool = an_autoscaled_pool(one_try, "$TargetDedicatedNodes = $CurrentDedicatedNodes + 1;")
    one_try.disable_pool_auto_scale(pool)

    control.advance_clock(3600)

    assert reach_steady(one_try, pool).target_dedicated_nodes == 1


def test_a_new_interval_keeps_the_formula(batch: BatchClient) -> None:
    """A pool that has a formula need not be given it again."""
    formula = "$TargetDedicatedNodes = 0;"
    pool = an_autoscaled_pool(batch, formula)

    enable(batch, pool, None, auto_scale_evaluation_interval=timedelta(hours=1))

    found = kit.pool_of(batch, pool)
    assert found.auto_scale_formula == formula
    assert found.auto_scale_evaluation_interval == timedelta(hours=1)


def test_enabling_needs_a_formula(batch: BatchClient, pool: str) -> None:
    """The first time."""
    with kit.refused(400, "MissingRequiredProperty"):
        enable(batch, pool, None)


def test_enabling_needs_a_steady_pool(batch: BatchClient) -> None:
    """Not while it is resized."""
    pool = kit.pool_options()
    batch.create_pool(pool)

    with kit.refused(409, "PoolBeingResized"):
        enable(batch, str(pool.id), "x = 1;")


def test_only_an_autoscaled_pool_evaluates(batch: BatchClient, pool: str) -> None:
    """A formula is tried on a pool that has one."""
    with kit.refused(409, "OperationNotValidOnPool"):
        evaluate(batch, pool, "x = 1;")


def test_an_evaluation_waits_for_a_resize(control: Control, one_try: BatchClient) -> None:
    """What becomes due while the pool is resized is done when it is steady."""
    pool = an_autoscaled_pool(one_try, "$TargetDedicatedNodes = 0;")
    control.set_delay("allocation", None)
    enable(one_try, pool, "$TargetDedicatedNodes = min(2, $CurrentDedicatedNodes + 1);")
    first = run_of(kit.pool_of(one_try, pool)).timestamp
    control.advance_clock(800)
    one_try.begin_stop_pool_resize(pool, polling_interval=1)
    reach_steady(one_try, pool)

    control.advance_clock(150)

    assert kit.pool_of(one_try, pool).allocation_state == "resizing"
    assert run_of(kit.pool_of(one_try, pool)).timestamp - first >= timedelta(minutes=15)


def test_a_pool_beyond_its_quota_tries_again(control: Control, one_try: BatchClient) -> None:
    """At the next evaluation, since it has not what its formula wants."""
    other = kit.a_pool(one_try, vm_size="standard_d64s_v5")
    pool = an_autoscaled_pool(one_try, "$TargetDedicatedNodes = 1;", vm_size="standard_d64s_v5")
    assert [error.code for error in kit.pool_of(one_try, pool).resize_errors or []] == [
        "AccountCoreQuotaReached"
    ]
    kit.resize(one_try, other, target_dedicated_nodes=0)

    control.advance_clock(900)

    wait_until(lambda: len(list(one_try.list_nodes(pool))) == 1)


def test_a_pool_made_anew_has_no_samples_of_the_old(control: Control, one_try: BatchClient) -> None:
    """Its history begins with it."""
    pool_id = kit.new_id("pool")
    an_autoscaled_pool(one_try, "$TargetDedicatedNodes = 0;", id=pool_id)
    control.advance_clock(3600)
    one_try.begin_delete_pool(pool_id, polling_interval=1)
    wait_until(lambda: not list(one_try.list_pools()))
    an_autoscaled_pool(one_try, "$TargetDedicatedNodes = 0;", id=pool_id)

    results = evaluate(one_try, pool_id, "p = $ActiveTasks.GetSamplePercent(TimeInterval_Hour);")

    assert float(str(results.results).rsplit("=", 1)[1]) < 5

"""Autoscale formulas: checked, evaluated over a pool's samples, and applied to the pool."""

from dataclasses import dataclass, replace
from datetime import timedelta

from local_azure.batch.autoscale.formula import OPTION, TARGETS, FormulaError, Scope, parse
from local_azure.batch.state.records import Pool
from local_azure.batch.state.service import BatchService
from local_azure.batch.state.states import NODE_LEAVING, AllocationState, JobState
from local_azure.batch.state.store import Store
from local_azure.batch.wire.errors import BatchError, invalid_property, missing_property
from local_azure.batch.wire.formats import Json, format_time, parse_duration

INTERVAL = "PT15M"
"""How often a formula is evaluated, if a pool does not say it."""


_MAX_LENGTH = 8192
_INTERVALS = timedelta(minutes=5), timedelta(hours=168)
_SIZES = frozenset({"$CurrentDedicatedNodes", "$CurrentLowPriorityNodes"})
_METRICS = _SIZES | {"$ActiveTasks", "$PendingTasks", "$RunningTasks"}


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a formula gave: an autoScaleRun, and what the pool should be like.

    Attributes:
        targets: dedicated and low-priority nodes.
        option: what happens to the tasks of nodes that leave.
    """

    run: Json
    targets: tuple[int, int]
    option: str


def check_formula(text: str) -> None:
    """Refuse a formula that cannot be evaluated, whatever the samples.

    Raises:
        BatchError: 400 AutoScalingFormulaTooLong or AutoScalingFormulaSyntaxError.
    """
    if len(text) > _MAX_LENGTH:
        reason = f"an autoscale formula has {_MAX_LENGTH} characters at most"
        raise BatchError(400, "AutoScalingFormulaTooLong", reason, [("Length", str(len(text)))])
    try:
        parse(text, metrics=_METRICS, readable=_SIZES)
    except FormulaError as error:
        message = f"The autoscale formula is not valid: {error}."
        values = [("Message", str(error))]
        raise BatchError(400, "AutoScalingFormulaSyntaxError", message, values) from error


def check_interval(text: str) -> None:
    """Refuse an interval that is shorter than 5 minutes or longer than 168 hours."""
    shortest, longest = _INTERVALS
    if not shortest <= parse_duration(text) <= longest:
        reason = "it must be from 5 minutes to 168 hours"
        raise invalid_property("autoScaleEvaluationInterval", text, reason)


def check_settings(body: Json) -> None:
    """Refuse what a new pool cannot have together."""
    if not body.get("enableAutoScale"):
        for name in ("autoScaleFormula", "autoScaleEvaluationInterval"):
            if name in body:
                raise _not_together(name, "it needs enableAutoScale")
        return
    for name in ("targetDedicatedNodes", "targetLowPriorityNodes"):
        if name in body:
            raise _not_together(name, "the formula of an autoscaled pool decides it")
    if "autoScaleFormula" not in body:
        raise missing_property("autoScaleFormula")
    check_formula(body["autoScaleFormula"])
    check_interval(body.get("autoScaleEvaluationInterval", INTERVAL))


def _not_together(name: str, reason: str) -> BatchError:
    values = [("PropertyName", name), ("Reason", reason)]
    text = f"The autoscale settings are not valid: {name}: {reason}."
    return BatchError(400, "InvalidAutoScalingSettings", text, values)


def take_sample(service: BatchService, pool: Pool) -> dict[str, float]:
    """Take a sample of a pool's metrics now, and give it."""
    nodes = service.store.nodes.of(pool.id).values()
    dedicated = sum(node.dedicated for node in nodes)
    active = running = 0
    for job in service.store.jobs.of().values():
        if job.pool_id.lower() == pool.id.lower():
            counts, _ = service.store.task_counts(job.id)
            running += service.store.tasks_under_way(job.id)
            # The tasks of a job that is not active will not run.
            active += counts["active"] if job.state is JobState.ACTIVE else 0
    values = {
        "$ActiveTasks": float(active),
        "$RunningTasks": float(running),
        "$PendingTasks": float(active + running),
        "$CurrentDedicatedNodes": float(dedicated),
        "$CurrentLowPriorityNodes": float(len(nodes) - dedicated),
    }
    service.history.of(pool.key).add(service.clock.now(), values)
    return values


def evaluate(service: BatchService, pool: Pool, text: str) -> Evaluation:
    """Evaluate a formula that `check_formula` accepted; an error is part of its run."""
    current = take_sample(service, pool)
    targets = (pool.target_dedicated, pool.target_low_priority)
    scope = Scope(
        now=service.clock.now(),
        current={name: current[name] for name in _SIZES},
        samples=service.history.of(pool.key),
        variables=dict(zip(TARGETS, map(float, targets), strict=True)) | {OPTION: "requeue"},
    )
    run: Json = {"timestamp": format_time(scope.now)}
    try:
        parse(text, metrics=_METRICS, readable=_SIZES)(scope)
    except FormulaError as error:
        run["error"] = {
            "code": "AutoScalingFormulaEvaluationError",
            "message": "The autoscale formula could not be evaluated",
            "values": [{"name": "Message", "value": str(error)}],
        }
    else:
        # A node is there or it is not; the service has no negative numbers of nodes either.
        wanted = [max(0, int(scope.variables[name])) for name in TARGETS]
        scope.variables |= zip(TARGETS, map(float, wanted), strict=True)
        targets = (wanted[0], wanted[1])
    run["results"] = scope.written()
    return Evaluation(run=run, targets=targets, option=scope.variables[OPTION])


def follow(service: BatchService, pool: Pool) -> Pool:
    """Evaluate a steady pool's own formula and return the pool, resizing if need be."""
    found = evaluate(service, pool, pool.body["autoScaleFormula"])
    dedicated, low_priority = found.targets
    pool = replace(
        pool,
        auto_scale_run=found.run,
        target_dedicated=dedicated,
        target_low_priority=low_priority,
    )
    if "error" in found.run or found.targets == sizes(service.store, pool):
        return pool
    return pool.allocate(
        AllocationState.RESIZING,
        service.clock.now(),
        node_deallocation=found.option,
        resize_errors=(),
    )


def sizes(store: Store, pool: Pool) -> tuple[int, int]:
    """Return how many nodes a pool has that stay, dedicated and low-priority ones."""
    nodes = [node for node in store.nodes.of(pool.id).values() if node.state not in NODE_LEAVING]
    dedicated = sum(node.dedicated for node in nodes)
    return dedicated, len(nodes) - dedicated

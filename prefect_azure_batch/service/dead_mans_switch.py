"""The dead man's switch: a formula by which Azure itself takes the nodes away when all else died.

Its times are literal, so it needs nobody: no flow, no janitor, no Prefect. The service evaluates
it every five minutes; a pool that has one cannot be resized, only given another formula.
"""

from datetime import UTC, datetime, timedelta

from prefect_azure_batch.model.run import Run
from prefect_azure_batch.settings import PoolSettings

# For sending the batch tasks, after the time that nodes may take to come.
SENDING = timedelta(minutes=15)
NO_NODES = "$TargetDedicatedNodes = 0;\n$TargetLowPriorityNodes = 0;"
"""A formula for a pool that nobody works on."""
_KNOWN = "known = $PendingTasks.GetSamplePercent(TimeInterval_Minute * 5);\n"


def with_switch(settings: PoolSettings, run: Run, created: datetime) -> PoolSettings:
    """Return the settings of a pool with the switch, if it is wanted; else as they are.

    Args:
        settings: of a pool that the run owns.
        run: says after what time anything of it is waste.
        created: when the pool is created, UTC.
    """
    if not settings.dead_mans_switch:
        return settings
    if settings.autoscale_formula:
        formula = until_waste(settings.autoscale_formula, run.delete_after)
    else:
        grace = timedelta(seconds=settings.allocation_timeout_s) + SENDING
        nodes = (settings.dedicated_nodes, settings.spot_nodes)
        formula = while_needed(*nodes, created + grace, run.delete_after)
    return settings.model_copy(update={"autoscale_formula": formula})


def while_needed(
    dedicated_nodes: int, spot_nodes: int, beginning: datetime, waste: datetime
) -> str:
    """Return a formula for these nodes while there is work for them, else none.

    Without samples, batch tasks are taken to be there: the service may have lost some of them.

    Args:
        dedicated_nodes: while they are needed.
        spot_nodes: while they are needed.
        beginning: until then they are needed without any batch task.
        waste: from then on they are not needed, whatever is pending.
    """
    return (
        f"{_KNOWN}"
        "pending = known < 1 ? 1 : max($PendingTasks.GetSample(TimeInterval_Minute * 5));\n"
        f"begins = time() < {_time(beginning)};\n"
        f"works = pending > 0 && time() < {_time(waste)};\n"
        f"$TargetDedicatedNodes = begins || works ? {dedicated_nodes} : 0;\n"
        f"$TargetLowPriorityNodes = begins || works ? {spot_nodes} : 0;\n"
        "$NodeDeallocationOption = taskcompletion;"
    )


def asks_for_fixed_nodes(formula: str | None) -> bool:
    """Tell whether a pool's formula is that of `while_needed`, not one that a person wrote.

    Args:
        formula: as the service has it; None: the pool has none.
    """
    return (formula or "").startswith(_KNOWN)


def until_waste(formula: str, waste: datetime) -> str:
    """Return a formula that asks for no nodes from some time on."""
    text = formula.rstrip().rstrip(";")
    is_waste = f"time() >= {_time(waste)}"
    return (
        f"{text};\n$TargetDedicatedNodes = {is_waste} ? 0 : $TargetDedicatedNodes;\n"
        f"$TargetLowPriorityNodes = {is_waste} ? 0 : $TargetLowPriorityNodes;"
    )


def _time(instant: datetime) -> str:
    return f'time("{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")'

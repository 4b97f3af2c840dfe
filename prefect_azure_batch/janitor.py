"""The janitor: a flow on a schedule that deletes what dead runs have left on the services.

`batch-map janitor --dry-run` shows what there is, what is billed now and what would be
deleted. Safe beside live runs and beside other janitors: a run is dead by its own heartbeat and
marks, and whoever deletes it holds its heartbeat. Prefect is asked last: a flow run that it
takes for being at work although it is dead is set to Crashed, which frees its place in limits.
"""

import time
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import OrchestrationResult, SetStateStatus
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Crashed

from prefect_azure_batch.errors import CleanUpIncomplete
from prefect_azure_batch.model.run import PREFIX, run_id_of
from prefect_azure_batch.ownership.dead_run_deletion import Removal, delete_dead_runs
from prefect_azure_batch.ownership.inventory import (
    NOTHING,
    Inventory,
    Resource,
    RunResources,
    take_inventory,
)
from prefect_azure_batch.ownership.liveness import LifeState, is_wrongly_at_work
from prefect_azure_batch.service.clients import Services, open_services
from prefect_azure_batch.service.step import step

ARTIFACT_KEY = "janitor"
# A heartbeat's time is in whole seconds.
MARGIN_S = 1.0

Row = dict[str, str | int]


@dataclass(frozen=True)
class Report:
    """What the janitor found and did.

    Attributes:
        rows: a run each, then a stray each.
        summary: how many nodes are billed, and what is somebody else's.
    """

    rows: tuple[Row, ...]
    summary: str


@flow(name="janitor", flow_run_name="janitor")
def janitor(
    batch_credentials: str | None = None,
    storage_credentials: str | None = None,
    dry_run: bool = False,  # noqa: FBT001, FBT002 - a box to tick in the form
    run: str | None = None,
) -> Report:
    """Delete what dead runs have left, and report it as the artifact `janitor`; safe to repeat.

    Args:
        batch_credentials: Name of a saved block; without one the environment or .env is used.
        storage_credentials: Name of a saved block; without one the environment or .env is used.
        dry_run: Say what would be done, and do nothing.
        run: Only this one, by its flow run's id or its name `tw-...`; if it still has a fresh
            heartbeat, wait until that would be past its limit, and look again.

    Raises:
        CleanUpIncomplete: something dead is left; names it, and says why.
        ConfigurationError: the accounts are not as they should be, or `run` does not name a run.
    """
    with open_services(batch_credentials, storage_credentials) as opened:
        reach_accounts(opened)
        # From now on an outage is waited out, as in a run.
        services = replace(opened, guard=_continue)
        inventory = take_inventory(services) if run is None else _inventory_of(services, run)
        waste = [found for found in inventory.runs if found.waste != NOTHING]
        holder = UUID(flow_run.id)
        removals = [] if dry_run else delete_dead_runs(services, waste, holder)
    by_run = {removal.run_id: removal for removal in removals}
    report = Report(
        _rows(inventory, by_run), _billed(inventory) if run is None else _billed_for_one(inventory)
    )
    _publish(report)
    left = [removal for removal in removals if removal.problem]
    if left:
        names = [f"run {PREFIX}{removal.run_id}" for removal in left]
        raise CleanUpIncomplete(names, None, "; ".join(item.why_left for item in left))
    return report


@step("look at the accounts")
def reach_accounts(services: Services) -> None:
    """Make one cheap call to each, so that a wrong endpoint or key is an error at once.

    Raises:
        ServiceError: a service could not be reached or refused the key.
    """
    next(iter(services.batch.list_pools(max_results=1, select=["id"])), None)
    next(iter(services.blobs.list_containers(results_per_page=1)), None)


def _continue() -> None:
    """Let the janitor continue: nobody takes anything from it."""


def _inventory_of(services: Services, run: str) -> Inventory:
    """Return an inventory of one run: it, or the one that it continued as a resumed one."""
    run_id = run_id_of(run, "run").hex
    inventory = _only(take_inventory(services), run_id)
    waits = [wait for found in inventory.runs if (wait := found.liveness.again_s) is not None]
    if waits:
        get_run_logger().info("looking again in %.0f s: %s", max(waits), inventory.runs[0].run.name)
        time.sleep(max(waits) + MARGIN_S)
        inventory = _only(take_inventory(services), run_id)
    return inventory


def _only(inventory: Inventory, run_id: str) -> Inventory:
    meant = tuple(found for found in inventory.runs if run_id in found.holders)
    return Inventory(meant, (), ())


def _rows(inventory: Inventory, removals: dict[str, Removal]) -> tuple[Row, ...]:
    with get_client(sync_client=True) as client:
        rows = [
            _row(client, found, removals.get(found.run.flow_run_id)) for found in inventory.runs
        ]
    return (*rows, *map(_stray_row, inventory.strays))


def _billed(inventory: Inventory) -> str:
    kinds = [resource.kind for resource in inventory.others]
    others = ", ".join(f"{kinds.count(kind)} {kind}s" for kind in ("pool", "job", "container"))
    return (
        f"nodes billed when it looked: {sum(e.num_nodes for e in inventory.runs)} of our runs, "
        f"{inventory.num_nodes} in the account; of others, left alone: {others}"
    )


def _billed_for_one(inventory: Inventory) -> str:
    """Say what is billed for the one run that was asked for; the others were not looked at."""
    return f"nodes billed for it when it looked: {sum(e.num_nodes for e in inventory.runs)}"


def _row(client: SyncPrefectClient, found: RunResources, removal: Removal | None) -> Row:
    liveness, seen = found.liveness, found.evidence.sighting
    done = removal.done if removal else _would_be_done(found)
    is_taken = removal is not None and removal.is_taken
    states = [_prefect_state(client, found, of, crash=is_taken) for of in found.holders]
    return {
        # In Prefect's table the long ones stand beyond the right edge.
        "verdict": liveness.state.value,
        "nodes": found.num_nodes,
        "silent (s)": round(seen.age_s if seen else found.evidence.age_s),
        "done": done,
        "prefect": "; ".join(states),
        "run": found.run.name,
        "why": liveness.why,
        "what": ", ".join(map(str, found.resources)),
    }


def _would_be_done(found: RunResources) -> str:
    if found.liveness.state is LifeState.DEAD:
        return "would be deleted whole"
    kinds = [kind for kind, is_waste in asdict(found.waste).items() if is_waste]
    return f"would lose {', '.join(kinds)}" if kinds else "left alone"


def _prefect_state(client: SyncPrefectClient, found: RunResources, of: str, *, crash: bool) -> str:
    """Return what Prefect says of a flow run, after it was put right if that is wanted."""
    try:
        flow_run = client.read_flow_run(UUID(of))
    except ObjectNotFound:
        return "unknown to this Prefect server"
    said = (flow_run.state and flow_run.state.name) or "no state"
    state_type = flow_run.state.type.value if flow_run.state else None
    if not is_wrongly_at_work(found.liveness, state_type):
        return said
    if not crash:
        return f"{said}, which is not so"
    message = f"found dead by the janitor: {found.liveness.why}"
    # By its own rules Prefect lets only whoever cancels end a run that is being cancelled.
    is_forced = state_type == StateType.CANCELLING.value
    answer: OrchestrationResult[Any] = client.set_flow_run_state(
        flow_run.id, Crashed(message=message), force=is_forced
    )
    if answer.status is not SetStateStatus.ACCEPT:
        return f"{said}, which was not so: Prefect refused to set it to Crashed"
    return f"{said}, which was not so: set to Crashed"


def _stray_row(stray: Resource) -> Row:
    return {
        "verdict": "not ours",
        "nodes": stray.num_nodes,
        "silent (s)": "unknown" if stray.age_s is None else round(stray.age_s),
        "done": "left alone: delete it by hand if it is waste",
        "prefect": "",
        "run": stray.run_id or "unknown",
        "why": "bears our mark, but its name and its marks are not those of one of our runs",
        "what": str(stray),
    }


def _publish(report: Report) -> None:
    logger = get_run_logger()
    for row in report.rows:
        logger.info("%(run)s: %(verdict)s (%(why)s): %(done)s", row)
    logger.info(report.summary)
    create_table_artifact(
        key=ARTIFACT_KEY, table=[dict(row) for row in report.rows], description=report.summary
    )

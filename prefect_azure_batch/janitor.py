"""The janitor: a flow on a schedule that deletes what dead runs have left on the services.

`python -m flows.janitor --dry-run` shows what there is, what is billed now and what would be
deleted. Safe beside live runs and beside other janitors: a run is dead by its own heartbeat and
marks, and whoever deletes it holds its heartbeat. Prefect is asked last: a flow run that it takes
for being at work although it is dead is set to Crashed, which frees its place in limits.
"""

import sys
import time
from dataclasses import asdict, dataclass
from typing import Annotated, Any
from uuid import UUID

from cyclopts import App, Parameter
from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import OrchestrationResult, SetStateStatus
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.settings import (
    PREFECT_SERVER_ANALYTICS_ENABLED,
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
    temporary_settings,
)
from prefect.states import Crashed
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from prefect_azure_batch.errors import CleanUpIncomplete
from prefect_azure_batch.model.run import PREFIX, run_id_of
from prefect_azure_batch.ownership.dead_runs import Removal, remove_all
from prefect_azure_batch.ownership.inventory import NOTHING, Census, Estate, Resource, take_census
from prefect_azure_batch.ownership.liveness import Word, is_corpse
from prefect_azure_batch.service.clients import Services, open_services

ARTIFACT_KEY = "janitor"
# A heartbeat's time is told in whole seconds.
MARGIN_S = 1.0
FAILED = 1

Row = dict[str, str | int]

app = App(name="python -m flows.janitor", help="Delete what dead runs have left on the services.")


@dataclass(frozen=True)
class Report:
    """What the janitor found and did.

    Attributes:
        rows: a run each, then a stray each.
        told: how many nodes are billed, and what is somebody else's.
    """

    rows: tuple[Row, ...]
    told: str


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
        ConfigurationError: the accounts are not as they should be, or `run` is no run.
    """
    with open_services(batch_credentials, storage_credentials) as services:
        census = take_census(services) if run is None else _census_of(services, run)
        waste = [estate for estate in census.estates if estate.waste != NOTHING]
        holder = UUID(flow_run.id)
        removals = [] if dry_run else remove_all(services, waste, holder)
    by_run = {removal.run_id: removal for removal in removals}
    report = Report(_rows(census, by_run), _told(census) if run is None else _told_of_one(census))
    _publish(report)
    left = [removal for removal in removals if removal.problem]
    if left:
        names = [f"run {PREFIX}{removal.run_id}" for removal in left]
        raise CleanUpIncomplete(names, None, "; ".join(item.why_left for item in left))
    return report


def _census_of(services: Services, run: str) -> Census:
    """Return a census of one run: it, or whatever it lived from as a resumed one."""
    run_id = run_id_of(run).hex
    census = _only(take_census(services), run_id)
    waits = [wait for estate in census.estates if (wait := estate.verdict.again_s) is not None]
    if waits:
        get_run_logger().info("looking again in %.0f s: %s", max(waits), census.estates[0].run.name)
        time.sleep(max(waits) + MARGIN_S)
        census = _only(take_census(services), run_id)
    return census


def _only(census: Census, run_id: str) -> Census:
    meant = tuple(estate for estate in census.estates if run_id in estate.holders)
    return Census(meant, (), ())


def _rows(census: Census, removals: dict[str, Removal]) -> tuple[Row, ...]:
    with get_client(sync_client=True) as client:
        rows = [
            _row(client, estate, removals.get(estate.run.flow_run_id)) for estate in census.estates
        ]
    return (*rows, *map(_stray_row, census.strays))


def _told(census: Census) -> str:
    kinds = [resource.kind for resource in census.others]
    others = ", ".join(f"{kinds.count(kind)} {kind}s" for kind in ("pool", "job", "container"))
    return (
        f"nodes billed when it looked: {sum(e.num_nodes for e in census.estates)} of our runs, "
        f"{census.num_nodes} in the account; of others, left alone: {others}"
    )


def _told_of_one(census: Census) -> str:
    """Say what is billed for the one run that was asked for; the others were not looked at."""
    return f"nodes billed for it when it looked: {sum(e.num_nodes for e in census.estates)}"


def _row(client: SyncPrefectClient, estate: Estate, removal: Removal | None) -> Row:
    verdict, seen = estate.verdict, estate.evidence.sighting
    done = removal.done if removal else _would_be_done(estate)
    is_taken = removal is not None and removal.is_taken
    states = [_told_by_prefect(client, estate, of, crash=is_taken) for of in estate.holders]
    return {
        # In Prefect's table the long ones stand beyond the right edge.
        "verdict": verdict.word.value,
        "nodes": estate.num_nodes,
        "silent (s)": round(seen.age_s if seen else estate.evidence.age_s),
        "done": done,
        "prefect": "; ".join(states),
        "run": estate.run.name,
        "why": verdict.why,
        "what": ", ".join(map(str, estate.resources)),
    }


def _would_be_done(estate: Estate) -> str:
    if estate.verdict.word is Word.DEAD:
        return "would be deleted whole"
    kinds = [kind for kind, is_waste in asdict(estate.waste).items() if is_waste]
    return f"would lose {', '.join(kinds)}" if kinds else "left alone"


def _told_by_prefect(client: SyncPrefectClient, estate: Estate, of: str, *, crash: bool) -> str:
    """Return what Prefect says of a flow run, after it was put right if that is wanted."""
    try:
        found = client.read_flow_run(UUID(of))
    except ObjectNotFound:
        return "unknown to this Prefect server"
    said = (found.state and found.state.name) or "no state"
    state_type = found.state.type.value if found.state else None
    if not is_corpse(estate.verdict, state_type):
        return said
    if not crash:
        return f"{said}, which is not so"
    message = f"found dead by the janitor: {estate.verdict.why}"
    # By its own rules Prefect lets only whoever cancels end a run that is being cancelled.
    is_forced = state_type == StateType.CANCELLING.value
    answer: OrchestrationResult[Any] = client.set_flow_run_state(
        found.id, Crashed(message=message), force=is_forced
    )
    if answer.status is not SetStateStatus.ACCEPT:
        return f"{said}, which was not so: Prefect refused to set it to Crashed"
    return f"{said}, which was not so: set to Crashed"


def _stray_row(stray: Resource) -> Row:
    return {
        "verdict": "not ours",
        "nodes": stray.num_nodes,
        "silent (s)": round(stray.age_s),
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
    logger.info(report.told)
    create_table_artifact(
        key=ARTIFACT_KEY, table=[dict(row) for row in report.rows], description=report.told
    )


def print_report(report: Report) -> None:
    """Print what was found and done, a run after the other, and what is billed."""
    console = Console(highlight=False)
    table = Table.grid(padding=(0, 2))
    for row in report.rows:
        for name, value in row.items():
            table.add_row(name, escape(str(value)))
        table.add_row()
    console.print(table if report.rows else "nothing of ours is there")
    console.print(report.told)


@app.default
def run_once(
    *,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    run: str | None = None,
    batch_credentials: str | None = None,
    storage_credentials: str | None = None,
) -> None:
    """Look once at both accounts, delete what is dead, and print what was found and done.

    Exit code 0: nothing that is dead is left, or it was a dry run. 1: an error, or something
    dead is left; told on standard error.

    Args:
        dry_run: Delete nothing, and say what would be deleted.
        run: Only this run: its flow run's id, or its name `tw-...`; waits until it is silent.
        batch_credentials: Saved block of the Batch account; default: environment, then .env.
        storage_credentials: Saved block of the storage account; default: environment, then .env.
    """
    # Before Prefect's server is started: a mistake is told at once.
    if run is not None:
        run_id_of(run)
    with open_services(batch_credentials, storage_credentials):
        pass
    # A cold start of Prefect's own server takes 20 s and more.
    defaults = {
        PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS: 90,
        PREFECT_SERVER_ANALYTICS_ENABLED: False,
    }
    with temporary_settings(set_defaults=defaults):
        print_report(janitor(batch_credentials, storage_credentials, dry_run, run))


def main() -> int:
    """Run the command line; 1 and one error on standard error if something dead is left."""
    try:
        app(result_action="return_value")
    except Exception as error:  # noqa: BLE001 - the last resort; whatever it is, it is told once
        sys.stderr.write(f"error: {error}\n")
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())

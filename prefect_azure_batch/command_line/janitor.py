"""`batch-map janitor`: look once at both accounts, and delete what dead runs have left."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from prefect_azure_batch.command_line.app import exit_code_of
from prefect_azure_batch.command_line.terminal import cell
from prefect_azure_batch.credentials.env_file import check_dot_env
from prefect_azure_batch.model.run import run_id_of

if TYPE_CHECKING:
    from prefect_azure_batch.janitor import Report

app = App(name="janitor", help="Delete what dead runs have left on the services.")


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
    dead is left; reported on standard error.

    Args:
        dry_run: Delete nothing, and say what would be deleted.
        run: Only this run: its flow run's id, or its name `tw-...`; waits until it is silent.
        batch_credentials: Saved block of the Batch account; default: environment, then .env.
        storage_credentials: Saved block of the storage account; default: environment, then .env.
    """
    # Before Prefect is imported and its server started: a mistake is reported at once.
    if run is not None:
        run_id_of(run, "run")
    check_dot_env()
    from prefect.settings import (  # noqa: PLC0415 - Prefect
        PREFECT_SERVER_ANALYTICS_ENABLED,
        PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
        temporary_settings,
    )

    from prefect_azure_batch.janitor import janitor  # noqa: PLC0415 - imports Prefect
    from prefect_azure_batch.service.clients import open_services  # noqa: PLC0415 - imports Prefect

    with open_services(batch_credentials, storage_credentials):
        pass
    # A cold start of Prefect's own server takes 20 s and more.
    defaults = {
        PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS: 90,
        PREFECT_SERVER_ANALYTICS_ENABLED: False,
    }
    with temporary_settings(set_defaults=defaults):
        print_report(janitor(batch_credentials, storage_credentials, dry_run, run))


def print_report(report: "Report") -> None:
    """Print what was found and done, a run after the other, and what is billed."""
    console = Console(highlight=False)
    table = Table.grid(padding=(0, 2))
    for row in report.rows:
        for name, value in row.items():
            table.add_row(name, cell(value))
        table.add_row()
    console.print(table if report.rows else "nothing of ours is there")
    console.print(cell(report.summary))


def main() -> int:
    """Run the command line; 1 and one error on standard error if something dead is left."""
    return exit_code_of(app)

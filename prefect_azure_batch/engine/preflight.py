"""What is found out before anything is created: accounts, clock, and the plan."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from azure.core.pipeline import PipelineResponse
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from prefect_azure_batch.collecting.output_folder import check_places
from prefect_azure_batch.engine.output_names import check_output_names, output_names, own_names
from prefect_azure_batch.engine.plan import Plan, make_plan
from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.model.output_record import record_outputs
from prefect_azure_batch.model.tasks import InputFile, Level
from prefect_azure_batch.model.workload import Workload
from prefect_azure_batch.service.answers import instant_of
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import RunContext
from prefect_azure_batch.service.sas import CLOCK_SKEW
from prefect_azure_batch.service.step import step
from prefect_azure_batch.settings import JobSettings, PoolSettings
from prefect_azure_batch.staging.archives import uploads_of

ARTIFACT_KEY = "plan"


def record_planned_outputs(folder: Path, levels: Sequence[Level]) -> None:
    """Write down what the run will write into its output folder, so that it is never an input.

    Raises:
        ConfigurationError: the folder cannot be written to.
    """
    try:
        record_outputs(folder, (name for name, _ in output_names(levels)))
    except OSError as error:
        raise ConfigurationError(
            f"output_dir {str(folder)!r} is not writable: {error.strerror}"
        ) from error


@step("check the storage account")
def check_storage(services: Services) -> None:
    """Make one cheap call, so that a wrong endpoint or key is an error before anything exists.

    Raises:
        ConfigurationError: the clocks of this machine and the service differ so much that SAS
            URLs would not be valid.
        ServiceError: the service could not be reached or refused the key.
    """
    dates: list[str] = []

    def keep_date(response: PipelineResponse[Any, Any]) -> None:
        """Note the service's time."""
        dates.append(response.http_response.headers.get("Date", ""))

    listing = services.blobs.list_containers(results_per_page=1, raw_response_hook=keep_date)
    next(iter(listing), None)
    check_clock(dates[-1] if dates else "", datetime.now(UTC))


def check_clock(date: str, now: datetime) -> None:
    """Check that a SAS of this machine's clock is valid by the service's.

    Args:
        date: the header of an answer; empty if it has none. One that cannot be read says nothing.
        now: this machine's time.

    Raises:
        ConfigurationError: the clocks are too far apart.
    """
    there = instant_of(date)
    ahead = now - there if there else timedelta(0)
    if abs(ahead) > CLOCK_SKEW:
        raise ConfigurationError(
            f"this machine's clock is {ahead.total_seconds():+.0f} s from the storage service's: "
            "set it right, for SAS URLs are valid by the clock"
        )


def plan_run(  # noqa: PLR0913, PLR0917 - these are what a run is made of
    context: RunContext,
    workload: Workload[Any],
    pool: PoolSettings,
    job: JobSettings,
    inputs: Sequence[InputFile],
    folder: Path,
) -> tuple[Sequence[Level], Plan]:
    """Plan the batch tasks, level by level, and say what the run will create.

    Raises:
        ConfigurationError: no SAS URL can hold as long as the run may take, two outputs have one
            place in the output folder, or a folder is there in the place of a file.
    """
    levels = workload.plan(context.run, inputs, pool)
    check_output_names(levels, folder)
    check_places(folder, own_names(levels))
    uploads = uploads_of(context.run, workload, inputs, levels)
    plan = make_plan(context.run, workload, pool, job, inputs, levels, uploads)
    publish_plan(context, plan)
    return levels, plan


@step("publish the plan")
def publish_plan(context: RunContext, plan: Plan) -> None:
    """Write the plan as the artifact `plan`, in short in the log; and try to sign a SAS URL.

    Raises:
        ConfigurationError: no SAS URL can hold as long as the run may take.
    """
    context.write_url()
    create_markdown_artifact(
        key=ARTIFACT_KEY, markdown=plan.markdown(), description="What the run creates"
    )
    get_run_logger().info("plan: %s", plan.summary())

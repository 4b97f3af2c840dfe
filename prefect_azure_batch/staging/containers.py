"""The containers of a run, and what is uploaded into them before its job."""

from prefect.logging import get_run_logger

from prefect_azure_batch.service.context import RunContext, WorkContext
from prefect_azure_batch.service.refusals import create_own
from prefect_azure_batch.service.step import step
from prefect_azure_batch.staging.archives import readable_size, uploads_of
from prefect_azure_batch.staging.stale_outputs import delete_stale_outputs, recipe_of
from prefect_azure_batch.staging.uploads import not_stored, send_all, stored_digests


@step("create containers")
def create_containers(context: RunContext) -> None:
    """Create the run's three containers, or accept its own.

    Raises:
        NotOwned: a container of that name belongs to another run.
    """
    for name in context.run.containers:
        _create(context, name)
    get_run_logger().info("created containers %s", ", ".join(context.run.containers))


def _create(context: RunContext, name: str) -> None:
    container = context.blobs.get_container_client(name)
    create_own(
        context.run,
        ("container", name),
        lambda: container.create_container(metadata=context.run.metadata),
        "ContainerAlreadyExists",
        lambda: dict(container.get_container_properties().metadata or {}),
    )


@step("upload node program and inputs")
def upload_files(context: WorkContext) -> None:
    """Upload what the nodes read; what is there with the same content stays.

    Outputs of an earlier attempt that were made of other content are deleted first.

    Raises:
        BadInput: a file cannot be read.
    """
    run = context.run
    uploads = uploads_of(run, context.workload, context.inputs, context.levels)
    stored = stored_digests(context, (run.application_container, run.input_container))
    needed = not_stored(context, uploads, stored)
    delete_stale_outputs(context, recipe_of(context), frozenset(item.place for item in needed))
    send_all(context, needed)
    programs = [item.place for item in uploads if item.place.container == run.application_container]
    get_run_logger().info(
        "uploaded %d blobs, %s (node program: %s); %d were there already",
        len(needed),
        readable_size(sum(upload.size for upload in needed)),
        ", ".join(place.name for place in programs),
        len(uploads) - len(needed),
    )

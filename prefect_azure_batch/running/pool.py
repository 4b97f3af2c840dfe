"""The pool before it works: its image is chosen and it is created, or an existing one checked."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial

from azure.batch import BatchClient
from azure.batch.models import (
    BatchPool,
    BatchPoolEnableAutoScaleOptions,
    BatchPoolResizeOptions,
    BatchSupportedImage,
)
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from prefect.logging import get_run_logger

from prefect_azure_batch.errors import ConfigurationError, NotOwned
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.running.events import Announcer
from prefect_azure_batch.running.node_watch import COMING, READY
from prefect_azure_batch.service import specs
from prefect_azure_batch.service.clients import Services, error_code, lowered, step
from prefect_azure_batch.service.dead_mans_switch import NO_NODES, guarded
from prefect_azure_batch.service.sas import read_url
from prefect_azure_batch.settings import JobSettings, PoolSettings
from prefect_azure_batch.staging.containers import program_blobs

# A pool made now should live for a while on an image that is still supported.
SUPPORT_LEFT = timedelta(days=90)
MOST_TOLD = 10
# The SDK's own wait for the end of a resize, which nobody needs here, looks once a day.
PARKED_S = 86400
# For a resize to stop.
STOP_S = 60


def check_pool(services: Services, settings: PoolSettings) -> tuple[PoolSettings, str]:
    """Return the settings that hold, and the node agent SKU id for a pool that is to be made.

    Raises:
        ConfigurationError: image or existing pool cannot be used.
    """
    if settings.existing_pool_id:
        return check_existing_pool(services, settings), ""
    return settings, check_image(services, settings)


@step("check the image")
def check_image(services: Services, settings: PoolSettings) -> str:
    """Return the node agent SKU id of the image asked for; also the first call to the account.

    Raises:
        ConfigurationError: the service has no such image, or none that this project can use.
    """
    images = list(services.batch.list_supported_images())
    wanted = (settings.image_publisher, settings.image_offer, settings.image_sku)
    for image in images:
        if _name(image) == ":".join(wanted).casefold():
            _check_usable(image)
            return image.node_agent_sku_id
    names = sorted(_name(image) for image in images if not _objections(image))
    raise ConfigurationError(
        f"the service supports no image {':'.join(wanted)}: set pool.image_publisher, "
        f"pool.image_offer and pool.image_sku to one of {', '.join(names)}"
    )


def _name(image: BatchSupportedImage) -> str:
    reference = image.image_reference
    return f"{reference.publisher}:{reference.offer}:{reference.sku}".casefold()


def _check_usable(image: BatchSupportedImage) -> None:
    objections = _objections(image)
    if objections:
        raise ConfigurationError(
            f"image {_name(image)} cannot be used ({'; '.join(objections)}): "
            "set pool.image_publisher, pool.image_offer and pool.image_sku to another"
        )


def _objections(image: BatchSupportedImage) -> list[str]:
    end = image.batch_support_end_of_life
    found = {
        "it is no Linux image, and the commands need bash": lowered(image.os_type) != "linux",
        "it is not verified": lowered(image.verification_type) != "verified",
        f"its support ends on {end:%Y-%m-%d}" if end else "": end is not None
        and end < datetime.now(UTC) + SUPPORT_LEFT,
    }
    return [objection for objection, holds in found.items() if holds]


@step("check the existing pool")
def check_existing_pool(services: Services, settings: PoolSettings) -> PoolSettings:
    """Return the settings with what the existing pool says of itself; it is not changed.

    Raises:
        ConfigurationError: there is no such pool, or it cannot run batch tasks.
    """
    pool = _existing_pool(services.batch, str(settings.existing_pool_id))
    nodes = services.batch.list_nodes(pool.id, select=["id", "state"])
    objections = _objections_to_pool(pool, Counter(lowered(node.state) for node in nodes))
    if objections:
        raise ConfigurationError(
            f"pool {pool.id} cannot be used ({'; '.join(objections)}): mend it, "
            "or set pool.existing_pool_id to another"
        )
    found = {
        "vm_size": pool.vm_size,
        "dedicated_nodes": pool.target_dedicated_nodes or 0,
        "spot_nodes": pool.target_low_priority_nodes or 0,
        "autoscale_formula": pool.auto_scale_formula,
        "task_slots_per_node": pool.task_slots_per_node or 1,
    }
    get_run_logger().info("using pool %s (%s), which stays as it is", pool.id, pool.vm_size)
    return settings.model_copy(update=found)


def _existing_pool(batch: BatchClient, pool_id: str) -> BatchPool:
    try:
        return batch.get_pool(pool_id)
    except ResourceNotFoundError as error:
        names = [pool.id for pool in batch.list_pools(select=["id"])]
        more = f" and {len(names) - MOST_TOLD} more" if len(names) > MOST_TOLD else ""
        raise ConfigurationError(
            f"the account has no pool {pool_id!r} "
            f"(it has {', '.join(names[:MOST_TOLD]) or 'none'}{more}): set pool.existing_pool_id"
        ) from error


def _objections_to_pool(pool: BatchPool, nodes: Counter[str]) -> list[str]:
    machine = pool.virtual_machine_configuration
    agent = lowered(machine.node_agent_sku_id if machine else None)
    target = (pool.target_dedicated_nodes or 0) + (pool.target_low_priority_nodes or 0)
    is_resizing = lowered(pool.allocation_state) != "steady"
    stays_empty = target == 0 and not pool.enable_auto_scale and (is_resizing or not nodes)
    grows = bool(pool.enable_auto_scale) or (is_resizing and target > nodes.total())
    seen = ", ".join(f"{count} {state}" for state, count in sorted(nodes.items())) or "none"
    found = {
        f"its state is {lowered(pool.state)}": lowered(pool.state) != "active",
        "its image is not Linux, and the commands need bash": "windows" in agent or not agent,
        "it is at 0 nodes, without an autoscale formula": stays_empty,
        f"no node can work, and none is coming; nodes: {seen}": not stays_empty
        and not grows
        and not nodes.keys() & (READY | COMING),
    }
    return [objection for objection, holds in found.items() if holds]


@step("create pool")
def create_pool(
    services: Services,
    run: Run,
    settings: PoolSettings,
    node_agent: str,
    job: JobSettings,
) -> None:
    """Create the run's pool, or accept its own; does not wait for nodes.

    Args:
        services: clients.
        run: names and marks.
        settings: the nodes.
        node_agent: the node agent SKU id that goes with their image.
        job: which program the nodes get.

    Raises:
        NotOwned: a pool of that id belongs to another run.
    """
    urls = partial(read_url, services.blobs, run)
    is_own = job.program is not None
    start = specs.start_task(program_blobs(run, job), urls, settings, is_own=is_own)
    settings = guarded(settings, run, datetime.now(UTC))
    try:
        services.batch.create_pool(specs.pool(run, settings, node_agent, start))
    except ResourceExistsError as error:
        if error_code(error) != "PoolExists":
            raise
        marks = services.batch.get_pool(run.pool_id, select=["metadata"]).metadata or []
        if not run.owns({item.name: item.value for item in marks}):
            raise NotOwned("pool", run.pool_id) from error
    Announcer(run).pool("created")


@step("take the nodes away")
def take_nodes_away(services: Services, run: Run) -> None:
    """Start to shrink the run's own pool to no nodes; an existing pool stays as it is."""
    if run.existing_pool_id:
        return
    pool = services.batch.get_pool(run.pool_id, select=["enableAutoScale", "allocationState"])
    if pool.enable_auto_scale:
        options = BatchPoolEnableAutoScaleOptions(auto_scale_formula=NO_NODES)
        services.batch.enable_pool_auto_scale(run.pool_id, options)
        return
    if lowered(pool.allocation_state) != "steady":
        # A pool that still grows takes no other size before that.
        services.batch.begin_stop_pool_resize(run.pool_id).wait(STOP_S)
    empty = BatchPoolResizeOptions(target_dedicated_nodes=0, target_low_priority_nodes=0)
    services.batch.begin_resize_pool(run.pool_id, empty, polling_interval=PARKED_S)

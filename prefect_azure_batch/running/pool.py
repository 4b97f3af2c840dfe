"""The pool before it works: its image is chosen and it is created, or an existing one checked."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from azure.batch import BatchClient
from azure.batch.models import (
    BatchPool,
    BatchPoolEnableAutoScaleOptions,
    BatchPoolResizeOptions,
    BatchSupportedImage,
)
from azure.core.exceptions import ResourceNotFoundError
from prefect.logging import get_run_logger

from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.messages import few
from prefect_azure_batch.running.events import Announcer
from prefect_azure_batch.running.pool_watch import COMING, READY
from prefect_azure_batch.service import specs
from prefect_azure_batch.service.answers import optional
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import RunContext, WorkContext
from prefect_azure_batch.service.dead_mans_switch import NO_NODES, with_switch
from prefect_azure_batch.service.refusals import create_own, lowered
from prefect_azure_batch.service.step import step
from prefect_azure_batch.settings import PoolSettings

# A pool made now should live for a while on an image that is still supported.
SUPPORT_LEFT = timedelta(days=90)
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
    names = sorted(_name(image) for image in images if _name(image) and not _objections(image))
    raise ConfigurationError(
        f"the service supports no image {':'.join(wanted)}: set pool.image_publisher, "
        f"pool.image_offer and pool.image_sku to one of {', '.join(names)}"
    )


def _name(image: BatchSupportedImage) -> str:
    reference = optional(image.image_reference)
    if reference is None:
        return ""
    return f"{reference.publisher}:{reference.offer}:{reference.sku}".casefold()


def _check_usable(image: BatchSupportedImage) -> None:
    objections = _objections(image)
    if objections:
        raise ConfigurationError(
            f"image {_name(image)} cannot be used ({'; '.join(objections)}): "
            "set pool.image_publisher, pool.image_offer and pool.image_sku to another"
        )


def _objections(image: BatchSupportedImage) -> list[str]:
    objections = []
    if lowered(image.os_type) != "linux":
        objections.append("it is not a Linux image, and the commands need bash")
    if not optional(image.node_agent_sku_id):
        objections.append("the service does not say which node agent goes with it")
    if lowered(image.verification_type) != "verified":
        objections.append("it is not verified")
    end = image.batch_support_end_of_life
    if end is not None and end < datetime.now(UTC) + SUPPORT_LEFT:
        objections.append(f"its support ends on {end:%Y-%m-%d}")
    return objections


@step("check the existing pool")
def check_existing_pool(services: Services, settings: PoolSettings) -> PoolSettings:
    """Return the settings with what the existing pool says of itself; it is not changed.

    Raises:
        ConfigurationError: there is no such pool, or it cannot run batch tasks.
    """
    pool = _existing_pool(services.batch, str(settings.existing_pool_id))
    nodes = services.batch.list_nodes(pool.id, select=["id", "state"])
    objections = list(_objections_to_pool(pool, Counter(lowered(node.state) for node in nodes)))
    if objections:
        raise ConfigurationError(
            f"pool {pool.id} cannot be used ({'; '.join(objections)}): fix it, "
            "or set pool.existing_pool_id to another"
        )
    found = {
        "vm_size": pool.vm_size or "of a size that the service does not say",
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
        raise ConfigurationError(
            f"the account has no pool {pool_id!r} (it has {few(names) or 'none'}): "
            "set pool.existing_pool_id"
        ) from error


def _objections_to_pool(pool: BatchPool, nodes: Counter[str]) -> Iterator[str]:
    state = lowered(pool.state)
    if state != "active":
        yield f"its state is {state}"
    machine = pool.virtual_machine_configuration
    agent = lowered(machine.node_agent_sku_id if machine else None)
    if "windows" in agent or not agent:
        yield "its image is not Linux, and the commands need bash"
    target = (pool.target_dedicated_nodes or 0) + (pool.target_low_priority_nodes or 0)
    is_resizing = lowered(pool.allocation_state) != "steady"
    if target == 0 and not pool.enable_auto_scale and (is_resizing or not nodes):
        yield "it is at 0 nodes, without an autoscale formula"
        return
    grows = bool(pool.enable_auto_scale) or (is_resizing and target > nodes.total())
    if not grows and nodes.keys().isdisjoint(READY | COMING):
        seen = ", ".join(f"{count} {state}" for state, count in sorted(nodes.items())) or "none"
        yield f"no node can work, and none is coming; nodes: {seen}"


@step("create pool")
def create_pool(context: WorkContext) -> None:
    """Create the run's pool, or accept its own; does not wait for nodes.

    Raises:
        NotOwned: a pool of that id belongs to another run.
    """
    run, batch = context.run, context.batch
    start = specs.start_task(run, context.workload, context.pool, context.read_url)
    settings = with_switch(context.pool, run, datetime.now(UTC))
    options = specs.pool(run, settings, context.node_agent, start)
    create_own(
        run,
        ("pool", run.pool_id),
        lambda: batch.create_pool(options),
        "PoolExists",
        lambda: specs.marks(batch.get_pool(run.pool_id, select=["metadata"]).metadata),
    )
    Announcer(run).pool("created")


@step("take the nodes away")
def take_nodes_away(context: RunContext) -> None:
    """Start to shrink the run's own pool to no nodes; an existing pool stays as it is."""
    run, batch = context.run, context.batch
    if run.existing_pool_id:
        return
    pool = batch.get_pool(run.pool_id, select=["enableAutoScale", "allocationState"])
    if pool.enable_auto_scale:
        options = BatchPoolEnableAutoScaleOptions(auto_scale_formula=NO_NODES)
        batch.enable_pool_auto_scale(run.pool_id, options)
        return
    if lowered(pool.allocation_state) != "steady":
        # A pool that still grows takes no other size before that.
        batch.begin_stop_pool_resize(run.pool_id).wait(STOP_S)
    empty = BatchPoolResizeOptions(target_dedicated_nodes=0, target_low_priority_nodes=0)
    batch.begin_resize_pool(run.pool_id, empty, polling_interval=PARKED_S)

"""The pool and its nodes: choose the image, create, and see what goes wrong while waiting."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import PurePath

from azure.batch import BatchClient
from azure.batch.models import BatchNode, BatchSupportedImage
from azure.core.exceptions import AzureError, ResourceExistsError
from prefect.logging import get_run_logger

from flows import specs
from flows.errors import (
    ConfigurationError,
    NodeUnusable,
    NotOwned,
    PoolResizeFailed,
    StartTaskFailed,
    without_sas,
)
from flows.runs import Run
from flows.sas import read_url
from flows.services import Services, error_code, lowered, step
from flows.settings import PoolSettings
from flows.work import BlobPlace

# A pool made now should live for a while on an image that is still supported.
SUPPORT_LEFT = timedelta(days=90)
STDERR_LINES = 20
READY_STATES = frozenset({"idle", "running"})


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


@step("create pool")
def create_pool(
    services: Services,
    run: Run,
    settings: PoolSettings,
    node_agent: str,
    node_program: str,
) -> None:
    """Create the run's pool, or accept its own; does not wait for nodes.

    Raises:
        NotOwned: a pool of that id belongs to another run.
    """
    program = PurePath(node_program)
    url = read_url(services.blobs, run, BlobPlace(run.application_container, program.name))
    start = specs.start_task(program, url, settings)
    try:
        services.batch.create_pool(specs.pool(run, settings, node_agent, start))
    except ResourceExistsError as error:
        if error_code(error) != "PoolExists":
            raise
        marks = services.batch.get_pool(run.pool_id, select=["metadata"]).metadata or []
        if not run.owns({item.name: item.value for item in marks}):
            raise NotOwned("pool", run.pool_id) from error
    get_run_logger().info("created pool %s (%s)", run.pool_id, settings.vm_size)


def look_at_nodes(batch: BatchClient, pool_id: str) -> Counter[str]:
    """Return how many nodes are in which state (lower case).

    Raises:
        PoolResizeFailed: the pool cannot grow.
        StartTaskFailed: a node's start task failed for good.
        NodeUnusable: a node broke.
    """
    pool = batch.get_pool(pool_id, select=["resizeErrors"])
    for failure in pool.resize_errors or ():
        details = [f"{item.name}={item.value}" for item in failure.error_values or ()]
        message = "; ".join([str(failure.message), *details])
        raise PoolResizeFailed(pool_id, str(failure.code), message)
    nodes = list(batch.list_nodes(pool_id, select=["id", "state", "startTaskInfo", "errors"]))
    for node in nodes:
        _check_node(batch, pool_id, node)
    return Counter(lowered(node.state) for node in nodes)


def _check_node(batch: BatchClient, pool_id: str, node: BatchNode) -> None:
    state = lowered(node.state)
    if state == "starttaskfailed":
        info = node.start_task_info
        failure = info.failure_info if info else None
        evidence = f"exit code {info.exit_code if info else None}"
        evidence += f", {failure.code}: {failure.message}" if failure else ""
        raise StartTaskFailed(
            node.id, without_sas(evidence), _start_task_stderr(batch, pool_id, node.id)
        )
    if state == "unusable":
        reports = [f"{error.code}: {error.message}" for error in node.errors or ()]
        raise NodeUnusable(node.id, "; ".join(reports) or "no reason given")


def _start_task_stderr(batch: BatchClient, pool_id: str, node_id: str) -> str:
    try:
        content = b"".join(batch.download_node_file(pool_id, node_id, "startup/stderr.txt"))
    except AzureError as error:
        # The failure itself is what must be told; its evidence can be out of reach.
        return f"(its stderr.txt could not be read: {error_code(error) or type(error).__name__})"
    return last_lines(content)


def last_lines(content: bytes) -> str:
    """Return the end of a text as it is shown in an error."""
    return "\n".join(content.decode(errors="replace").splitlines()[-STDERR_LINES:])


def any_ready(states: Iterable[str]) -> bool:
    """Tell whether one of the node states means that batch tasks can run."""
    return not READY_STATES.isdisjoint(states)

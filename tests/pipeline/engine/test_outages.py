"""A service that is out of order for a while, in front of the real emulator."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from os import environ

import pytest

from blocks import AzureBatchCredentials
from local_azure.stack import LocalAzure
from prefect_azure_batch.errors import ServiceError
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.ownership.deletion import KindsToDelete, delete_leftovers
from prefect_azure_batch.running.job import end_job_with_last_task
from prefect_azure_batch.running.pool import check_image
from prefect_azure_batch.running.watch import wait_for_batch_tasks
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import RunContext
from prefect_azure_batch.settings import PoolSettings
from tests.support.contexts import a_context
from tests.support.pipeline.relay import Relay, refusal

pytestmark = pytest.mark.usefixtures("prefect_harness", "nothing_left")

BUSY = refusal(503, "ServerBusy")
NOTHING = b""
# More than a step that Prefect repeats would be sent.
NUM_REFUSALS = 12


@pytest.fixture
def relay(local_azure: LocalAzure) -> Iterator[Relay]:
    """A relay to the Batch emulator that gives a number of calls no answer, and then a bad one."""
    with Relay(local_azure.batch_url) as relay:
        relay.refuse(NUM_REFUSALS // 2, NOTHING)
        relay.refuse(NUM_REFUSALS // 2, BUSY)
        yield relay


@pytest.fixture
def relayed(accounts: LocalAzure, services: Services, relay: Relay) -> Iterator[Services]:
    """The services, with Batch behind the relay."""
    block = AzureBatchCredentials.from_environment(
        dict(accounts.environment) | {"AZURE_BATCH_ENDPOINT": relay.url}
    )
    with block.get_client() as batch:
        yield Services(batch, services.blobs)


def test_wait_outlives_an_outage(
    services: Services, relayed: Services, relay: Relay, make_run: Callable[[], Run]
) -> None:
    """The wait for batch tasks continues when the service answers again."""
    run = make_run()

    endings = wait_for_batch_tasks(a_context(relayed, run), [], lambda *_: None)

    assert endings == {}
    assert relay.num_refused == 0
    delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60)


def test_clean_up_outlives_an_outage(
    relayed: Services, relay: Relay, make_run: Callable[[], Run]
) -> None:
    """Nothing is given up for lost because the service was out of order when it was deleted."""
    run = make_run()

    assert len(delete_leftovers(RunContext.of(relayed, run), KindsToDelete(), timeout_s=120)) == 5
    assert relay.num_refused == 0


def begin(services: Services) -> Services:
    """Return the services as those of a run that has begun."""
    return replace(services, guard=lambda: None)


def test_step_outlives_an_outage(
    services: Services, relayed: Services, relay: Relay, make_run: Callable[[], Run]
) -> None:
    """A step of a run that has begun is tried again when the service answers again."""
    run = make_run()
    relay.restore()
    relay.refuse(NUM_REFUSALS // 2, NOTHING)

    end_job_with_last_task(RunContext.of(begin(relayed), run))

    assert relay.num_refused == 0
    delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60)


def test_unreachable_service_is_an_error_at_first(services: Services) -> None:
    """Before a run has created anything, nobody waits for an endpoint that may be wrong."""
    with Relay("http://127.0.0.1:9") as gone:
        gone.cut()
        block = AzureBatchCredentials.from_environment(
            dict(environ) | {"AZURE_BATCH_ENDPOINT": gone.url}
        )
        with block.get_client() as batch, pytest.raises(ServiceError, match="reached"):
            check_image(Services(batch, services.blobs), PoolSettings())

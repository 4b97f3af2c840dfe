"""A process that runs a flow of steps and events again and again; each run is ended by a signal.

It says `ready` when a run has something to delete, and after each run what came out of it.
"""

import signal
import sys
import time
from dataclasses import replace
from typing import NoReturn
from uuid import UUID

from azure.batch.models import BatchStartTask
from prefect import flow
from prefect.events import emit_event
from prefect.runtime import flow_run

from prefect_azure_batch import CleanUpPolicy, JobSettings, PoolSettings, hooks
from prefect_azure_batch.clean_up import cleaned_up
from prefect_azure_batch.model.run import new_run
from prefect_azure_batch.ownership.heartbeat import Heartbeat
from prefect_azure_batch.service import specs
from prefect_azure_batch.service.clients import Services, open_services
from prefect_azure_batch.service.context import RunContext
from prefect_azure_batch.service.step import step

TURN_S = 0.01


class Terminated(BaseException):
    """What SIGTERM becomes outside of a flow."""


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@step("look")
def look(services: Services) -> None:
    """Do a little."""
    services.check()


@flow(name="busy", **hooks)
def busy() -> None:
    """Do steps, and send events, until a signal comes."""
    with open_services(None, None) as services:
        run = new_run(UUID(flow_run.id), 0, JobSettings(), CleanUpPolicy())
        heartbeat = Heartbeat(
            services.blobs, run, UUID(run.flow_run_id), movement=services.movement
        )
        context = replace(RunContext.of(services, run), guard=heartbeat.check)
        with cleaned_up(context, heartbeat, CleanUpPolicy(), (None, None)):
            for name in run.containers:
                services.blobs.create_container(name, metadata=run.metadata)
            heartbeat.take(limit_s=0, age_s=0)
            heartbeat.open_attempt(1)
            opened = run.in_attempt(1)
            options = specs.pool(opened, PoolSettings(), "batch.node.ubuntu 22.04", NO_START_TASK)
            services.batch.create_pool(options)
            say("ready")
            while True:
                look(context)
                emit_event("signal-loop.turn", resource={"prefect.resource.id": "signal-loop"})
                # More events than the server can store would keep the clean-up from beginning.
                time.sleep(TURN_S)


NO_START_TASK = BatchStartTask(command_line="true")


def _terminate(_number: int, _frame: object) -> NoReturn:
    raise Terminated


def main() -> None:
    """Run it once for each line of standard input."""
    signal.signal(signal.SIGTERM, _terminate)
    say("begun")
    for _ in sys.stdin:
        try:
            busy()
        except BaseException as error:  # noqa: BLE001 - it is what is looked at
            say(type(error).__name__)


if __name__ == "__main__":
    main()

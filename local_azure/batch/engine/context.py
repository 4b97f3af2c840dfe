"""What the parts of the engine share: the service, the processes, the folders, the background."""

from dataclasses import dataclass

from local_azure.batch.controls.clock import Clock
from local_azure.batch.controls.delays import Delays
from local_azure.batch.controls.faults import Faults
from local_azure.batch.machine.background import Background
from local_azure.batch.machine.folders import Folders
from local_azure.batch.machine.runner import Runner
from local_azure.batch.state.service import BatchService
from local_azure.batch.state.store import Store


@dataclass(frozen=True, kw_only=True)
class EngineContext:
    """What allocator, dispatcher and the keepers work with.

    Attributes:
        url: the account's URL, as tasks see it.
    """

    service: BatchService
    runner: Runner
    background: Background
    folders: Folders
    delays: Delays
    faults: Faults
    url: str

    @property
    def store(self) -> Store:
        """The account's store."""
        return self.service.store

    @property
    def clock(self) -> Clock:
        """The account's clock."""
        return self.service.clock

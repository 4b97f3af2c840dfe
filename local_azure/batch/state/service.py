"""What every operation and every part of the engine works on: the account, its store, its clock."""

from dataclasses import dataclass, field
from pathlib import Path

from local_azure.batch.controls.clock import Clock
from local_azure.batch.state.account import Account
from local_azure.batch.state.journal import Journal
from local_azure.batch.state.samples import History
from local_azure.batch.state.store import Store


@dataclass(frozen=True, kw_only=True)
class BatchService:
    """An account that is served.

    Attributes:
        nodes_dir: holds a folder for each node.
        journal: where the store is kept; None keeps it in memory alone.
        history: samples for the autoscale formulas; they begin anew with the emulator.
    """

    account: Account
    store: Store
    clock: Clock
    nodes_dir: Path
    journal: Journal | None = None
    history: History = field(default_factory=History)

    async def commit(self) -> None:
        """Make the changes so far survive a crash, if there is a journal."""
        if self.journal is not None:
            await self.journal.flush()

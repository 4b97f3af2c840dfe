"""A runner whose commands end as the rules for faults say."""

from dataclasses import replace

from local_azure.batch.controls.clock import Clock
from local_azure.batch.controls.faults import Faults
from local_azure.batch.machine.folders import Folders
from local_azure.batch.machine.runner import Command, Outcome, Runner
from local_azure.batch.wire.failures import exit_code_failure


class FaultyRunner(Runner):
    """Runs commands for real; a rule may replace the exit code."""

    def __init__(self, clock: Clock, folders: Folders, faults: Faults) -> None:
        super().__init__(clock, folders)
        self._faults = faults

    async def run(self, command: Command) -> Outcome:
        """Run the command to its end or its limit; a rule may give it another exit code."""
        outcome = await super().run(command)
        if outcome.exit_code is None:
            return outcome
        rule = self._faults.on_command(_path(command))
        if rule is None:
            return outcome
        failed = exit_code_failure(rule.exit_code) if rule.exit_code else None
        return replace(
            outcome, exit_code=rule.exit_code, failure=failed, retryable=failed is not None
        )


def _path(command: Command) -> str:
    """Name a command by the resource it belongs to: a task, or the start task of a node."""
    names = command.environment
    if "AZ_BATCH_TASK_ID" in names:
        return f"/jobs/{names['AZ_BATCH_JOB_ID']}/tasks/{names['AZ_BATCH_TASK_ID']}"
    return f"/pools/{names['AZ_BATCH_POOL_ID']}/nodes/{names['AZ_BATCH_NODE_ID']}/startTask"

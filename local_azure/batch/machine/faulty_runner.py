"""A runner whose commands end as the rules for faults say."""

from dataclasses import replace

from local_azure.batch.controls.clock import Clock
from local_azure.batch.controls.faults import Faults
from local_azure.batch.machine.folders import Folders
from local_azure.batch.machine.runner import Outcome, Runner, Work
from local_azure.batch.wire.failures import exit_code_failure


class FailingRunner(Runner):
    """Runs commands for real; what they exit with may be another's word."""

    def __init__(self, clock: Clock, folders: Folders, faults: Faults) -> None:
        super().__init__(clock, folders)
        self._faults = faults

    async def run(self, work: Work) -> Outcome:
        """Run the command to its end or its limit; a rule may give it another exit code."""
        outcome = await super().run(work)
        if outcome.exit_code is None:
            return outcome
        rule = self._faults.on_command(_path(work))
        if rule is None:
            return outcome
        failed = exit_code_failure(rule.exit_code) if rule.exit_code else None
        return replace(
            outcome, exit_code=rule.exit_code, failure=failed, retryable=failed is not None
        )


def _path(work: Work) -> str:
    """Name a command by the resource it belongs to: a task, or the start task of a node."""
    names = work.environment
    if "AZ_BATCH_TASK_ID" in names:
        return f"/jobs/{names['AZ_BATCH_JOB_ID']}/tasks/{names['AZ_BATCH_TASK_ID']}"
    return f"/pools/{names['AZ_BATCH_POOL_ID']}/nodes/{names['AZ_BATCH_NODE_ID']}/startTask"

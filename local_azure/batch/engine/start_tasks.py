"""Runs the start task of a node: at its boot, and again after every reboot."""

from dataclasses import replace
from pathlib import Path

from local_azure.batch.engine.context import EngineContext
from local_azure.batch.machine.environment import node_environment, settings
from local_azure.batch.machine.runner import Command, Outcome
from local_azure.batch.state.records import Key, Node
from local_azure.batch.wire.formats import Json, format_time


class StartTasks:
    """The start tasks of all nodes; a node's record says how far its own has come."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._store = context.store

    def begun(self) -> Json:
        """Write the startTaskInfo of a start task that is about to run."""
        return {"state": "running", "startTime": self._time(), "retryCount": 0}

    async def run(self, node: Node) -> Json:
        """Run the start task, again while it exits non-zero and has retries left.

        Returns: the startTaskInfo at its end, which is not in the node's record yet.
        """
        start_task = node.start_task or {}
        limit, info = start_task["maxTaskRetryCount"], self.begun()
        while True:
            self._note(node.key, info)
            outcome = await self._once(self._store.nodes.get(*node.key), start_task)
            retries = info["retryCount"]
            if not outcome.retryable or 0 <= limit <= retries:
                return outcome.end_of(info, self._time())
            info = info | {"retryCount": retries + 1, "lastRetryTime": self._time()}

    async def _once(self, node: Node, start_task: Json) -> Outcome:
        directory = Path(node.root) / "startup"
        command = Command(
            directory=directory,
            command_line=start_task["commandLine"],
            environment={
                **node_environment(
                    self._context.service.account, self._context.url, node, directory
                ),
                **settings(start_task.get("environmentSettings")),
            },
            resource_files=start_task.get("resourceFiles", []),
        )
        return await self._context.runner.carry_out(command)

    def _note(self, key: Key, info: Json) -> None:
        self._store.nodes.put(replace(self._store.nodes.get(*key), start_task_info=info))

    def _time(self) -> str:
        return format_time(self._context.clock.now())

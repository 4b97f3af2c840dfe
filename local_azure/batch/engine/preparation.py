"""Runs the preparation and release tasks of jobs on nodes, and records how they went.

Each is a run like a task's, so it ends with its node and its job, but takes no slot. The job's
record has what is known of it; a preparation that a restart interrupted is run again.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from local_azure.batch.engine.commands import command_of
from local_azure.batch.engine.context import EngineContext
from local_azure.batch.engine.runs import Run, Runs
from local_azure.batch.machine.runner import Outcome
from local_azure.batch.state.records import Job, Key, Node, Task, key_of, task_directory
from local_azure.batch.state.states import NODE_READY, JobState
from local_azure.batch.wire.failures import failure, task_ended
from local_azure.batch.wire.formats import Json, format_time

_WIRE = {"preparation": "jobPreparationTask", "release": "jobReleaseTask"}


class Preparation:
    """Keeps the nodes of a job prepared, and releases them."""

    def __init__(self, context: EngineContext, runs: Runs) -> None:
        self._context = context
        self._store = context.store
        self._clock = context.clock
        self._runs = runs

    async def is_ready(self, task: Task, node_key: Key) -> bool:
        """Prepare a node for a task's job, unless that was done; whether the task may run there."""
        job, node = self._store.jobs.get(task.job_id), self._store.nodes.get(*node_key)
        given = job.body.get("jobPreparationTask")
        if given is None:
            return True
        run = self._runs.find(_key(job, node, "preparation"))
        if run is None and not _is_prepared(job, node):
            # Whoever clears a node or ends a job must find every run that there is.
            if job.state is not JobState.ACTIVE or not node.takes_tasks:
                return False
            run = self._start(job, node, "preparation")
        if run is not None and given["waitForSuccess"]:
            await asyncio.wait({run.coroutine})
            return _succeeded(self._store.jobs.get(task.job_id), node)
        return not given["waitForSuccess"] or _succeeded(job, node)

    async def release(self, job_key: Key) -> None:
        """Run a job's release task on the nodes that it prepared, once on each, to their ends."""
        job = self._store.jobs.get(*job_key)
        if "jobReleaseTask" in job.body:
            runs = [self._start(job, node, "release") for node in self._to_release(job)]
            if runs:
                await asyncio.wait({run.coroutine for run in runs})
        self._close(self._store.jobs.get(*job_key))

    def remove_folders(self, job: Job) -> None:
        """Remove the folder of a job from the nodes that it prepared."""
        for node in self._nodes_of(job):
            self._context.folders.remove(Path(node.root) / "workitems" / job.id)

    def _nodes_of(self, job: Job) -> Iterator[Node]:
        """Return the nodes that a job prepared and that are still there."""
        for node_id, known in job.node_tasks.items():
            node = self._store.nodes.find(known["poolId"], node_id)
            if node is not None:
                yield node

    def _to_release(self, job: Job) -> list[Node]:
        waits = job.body["jobPreparationTask"]["waitForSuccess"]
        return [
            node
            for node in self._nodes_of(job)
            if node.state in NODE_READY
            and _needs_release(job.node_tasks[node.id], waits=waits)
            and _is_there(job.node_tasks[node.id], node)
        ]

    def _start(self, job: Job, node: Node, kind: str) -> Run:
        key = _key(job, node, kind)
        return self._runs.start(key, node.key, 0, self._carry_out(job, node, kind))

    async def _carry_out(self, job: Job, node: Node, kind: str) -> None:
        """Run a preparation or release, again while it exits non-zero and has retries left."""
        given = job.body[_WIRE[kind]]
        limit = given.get("constraints", {}).get("maxTaskRetryCount", 0)
        directory = task_directory(job.id, given["id"])
        info: Json = {"state": "running", "startTime": self._time(), "taskRootDirectory": directory}
        # A release is not retried.
        info |= {"retryCount": 0} if kind == "preparation" else {}
        try:
            while True:
                self._note(job, node, kind, info)
                outcome = await self._run(job, node, given)
                if not outcome.retryable or 0 <= limit <= info.get("retryCount", 0):
                    break
                count = info["retryCount"] + 1
                info = info | {"retryCount": count, "lastRetryTime": self._time()}
            self._note(job, node, kind, outcome.end_of(info, self._time()))
        except Exception:
            # The emulator's own fault (it is logged); the node must not seem to be prepared.
            text = "The emulator failed; its log has the trace"
            outcome = Outcome(failure=failure("Unknown", text, server=True))
            self._note(job, node, kind, outcome.end_of(info, self._time()))
            raise
        finally:
            self._runs.ended(_key(job, node, kind))

    async def _run(self, job: Job, node: Node, given: Json) -> Outcome:
        command = command_of(self._context, job, node, given["id"], given)
        return await self._context.runner.carry_out(command)

    def _note(self, begun: Job, node: Node, kind: str, info: Json) -> None:
        job = self._store.jobs.find(begun.id)
        if job is None or job.serial != begun.serial:
            return
        known = job.node_tasks.get(node.id, {})
        known = known | {"poolId": node.pool_id, "booted": format_time(node.booted), kind: info}
        self._store.jobs.put(replace(job, node_tasks=job.node_tasks | {node.id: known}))

    def _close(self, job: Job) -> None:
        """Record the end of what was killed with its node or its job."""
        ended = Outcome(failure=task_ended("because its node or its job was ended"))
        closed = {
            node_id: {
                name: ended.end_of(value, self._time()) if _is_running(value) else value
                for name, value in known.items()
            }
            for node_id, known in job.node_tasks.items()
        }
        if closed != job.node_tasks:
            self._store.jobs.put(replace(job, node_tasks=closed))

    def _time(self) -> str:
        return format_time(self._clock.now())


def _key(job: Job, node: Node, kind: str) -> Key:
    """Return the key of a run; no task's id has a slash."""
    return key_of(job.id, f"{kind}/{node.id}")


def _is_running(value: object) -> bool:
    return isinstance(value, dict) and value["state"] == "running"


def _is_prepared(job: Job, node: Node) -> bool:
    """Whether the preparation has run to an end on a node, and counts after its last boot."""
    known = job.node_tasks.get(node.id)
    if known is None or known["preparation"]["state"] != "completed" or not _is_there(known, node):
        return False
    given = job.body["jobPreparationTask"]
    again = given["rerunOnNodeRebootAfterSuccess"] or not _succeeded(job, node)
    return known["booted"] == format_time(node.booted) or not again


def _is_there(known: Json, node: Node) -> bool:
    """Whether a node still has what a preparation left there: a reimaged one does not."""
    return Path(node.root, known["preparation"]["taskRootDirectory"]).exists()


def _succeeded(job: Job, node: Node) -> bool:
    known = job.node_tasks.get(node.id, {"preparation": {}})
    return bool(known["preparation"].get("result") == "success")


def _needs_release(known: Json, *, waits: bool) -> bool:
    preparation = known["preparation"]
    ran = preparation["state"] == "completed" and (preparation["result"] == "success" or not waits)
    return ran and known.get("release", {}).get("state") != "completed"

"""What becomes of a pool and its nodes, and, while nothing runs, why.

A node or a resize that failed is reported once, and the run continues without it. It ends the run
only if nothing runs, and nothing that the service does by itself will change that.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from azure.batch import BatchClient
from azure.batch.models import (
    BatchJobPreparationTaskExecutionInfo,
    BatchNode,
    BatchNodeCounts,
    BatchPool,
    BatchStartTaskInfo,
)
from prefect.logging import get_run_logger

from prefect_azure_batch.errors import (
    NodeUnusable,
    NothingRuns,
    PoolError,
    PoolResizeFailed,
    ServiceError,
    StartTaskFailed,
)
from prefect_azure_batch.messages import TAIL_BYTES, last_lines, said
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.running.changed_items import Changes
from prefect_azure_batch.running.events import VISIBLE, Announcer
from prefect_azure_batch.service.answers import optional
from prefect_azure_batch.service.dead_mans_switch import asks_for_fixed_nodes
from prefect_azure_batch.service.outages import is_unanswered
from prefect_azure_batch.service.refusals import lowered, service_errors

# Of a log that breaks off.
READS = 3
READY = frozenset({"idle", "running"})
# What becomes ready without anybody doing anything, as a rule.
COMING = frozenset(
    {
        "creating",
        "starting",
        "waitingforstarttask",
        "rebooting",
        "reimaging",
        "upgradingos",
        "preempted",
        "unknown",
    }
)
POOL_FIELDS = [
    "state",
    "allocationState",
    "allocationStateTransitionTime",
    "resizeErrors",
    "targetDedicatedNodes",
    "targetLowPriorityNodes",
    "enableAutoScale",
    "autoScaleFormula",
    "autoScaleRun",
]
NODE_FIELDS = ["id", "state", "stateTransitionTime", "startTaskInfo", "errors", "isDedicated"]


@dataclass(frozen=True)
class Diagnosis:
    """What keeps the batch tasks of a pool from running.

    Attributes:
        causes: each in words; none while all is well, or only takes its time.
        error: to be raised, if the service will not fix it by itself.
    """

    causes: tuple[str, ...] = ()
    error: PoolError | None = None


class PoolWatch:
    """What is remembered of a pool and its nodes from one look to the next.

    Args:
        batch: the client.
        run: whose pool.
        announcer: reports every change.
    """

    def __init__(self, batch: BatchClient, run: Run, announcer: Announcer) -> None:
        self._batch = batch
        self._run = run
        self._pool_id = run.pool_id
        self._announcer = announcer
        self._log = get_run_logger()
        self._changes = Changes()
        self._pool = BatchPool()
        self._known: dict[str, BatchNode] = {}
        self._broken: dict[str, PoolError] = {}
        self._resize_error: PoolResizeFailed | None = None
        self._reported: set[str] = set()
        self.counts: Counter[str] = Counter()

    def look(self) -> bool:
        """Look at pool and nodes; return whether anything changed.

        Two calls, however many nodes there are, and a list of nodes when their counts changed.
        """
        before, counts = self._pool, self.counts
        self._pool = self._batch.get_pool(self._pool_id, select=POOL_FIELDS)
        if _pool_state(self._pool) != _pool_state(before):
            self._announcer.pool(_pool_state(self._pool))
        self._see_resize_errors()
        self.counts = self._count_nodes()
        # A node that was replaced between two looks leaves the counts as they were.
        is_changed = self.counts != counts or _allocated(self._pool) != _allocated(before)
        if is_changed:
            self._see_changed_nodes()
        return is_changed

    @property
    def is_ready(self) -> bool:
        """Whether a node can run batch tasks."""
        return not READY.isdisjoint(self.counts)

    def ready_nodes(self) -> set[str]:
        """Return the ids of the nodes that can run batch tasks, by a list of all."""
        return {node.id for node in self._list_nodes(None) if lowered(node.state) in READY}

    def _count_nodes(self) -> Counter[str]:
        found = self._batch.list_pool_node_counts(filter=f"poolId eq '{self._pool_id}'")
        counts: Counter[str] = Counter()
        for item in found:
            for kind in (item.dedicated, item.low_priority):
                counts += _states(kind) if kind else Counter()
        return counts

    def _see_resize_errors(self) -> None:
        changed = _allocated(self._pool)
        # An existing pool can have failed to grow for somebody else, long ago.
        is_stale = bool(self._run.existing_pool_id and changed and changed < self._run.started)
        errors = () if is_stale else self._pool.resize_errors or ()
        self._resize_error = None
        for error in errors:
            details = [f"{item.name}={item.value}" for item in error.error_values or ()]
            message = said(None, error.message, details)
            code = str(error.code or "no code")
            self._resize_error = PoolResizeFailed(self._pool_id, code, message)
            if self._is_new(f"resize {code} {changed}"):
                self._announcer.pool("resize-failed", f"{code}: {message}")
                self._log.warning("%s", self._resize_error)

    def _is_new(self, key: str) -> bool:
        is_new = key not in self._reported
        self._reported.add(key)
        return is_new

    def _see_changed_nodes(self) -> None:
        changed = self._changes.new(self._list_nodes(self._changes.filter()))
        for node in changed:
            self._see_node(node)
        if len(self._known) != self.counts.total():
            self._see_lost_nodes()

    def _list_nodes(self, condition: str | None) -> list[BatchNode]:
        return list(self._batch.list_nodes(self._pool_id, filter=condition, select=NODE_FIELDS))

    def _see_node(self, node: BatchNode) -> None:
        before, state = self._known.get(node.id), lowered(node.state)
        self._known[node.id] = node
        is_routine = state in READY and before is not None and lowered(before.state) in READY
        if not is_routine or len(self._known) <= VISIBLE:
            self._announcer.node(node.id, state, is_routine=is_routine)
        self._broken.pop(node.id, None)
        error = self._error_of(node)
        if error:
            self._broken[node.id] = error
            self._log.warning("%s", error)
        if state == "preempted":
            self._warn_of_preemption(node.id)

    def _error_of(self, node: BatchNode) -> PoolError | None:
        state = lowered(node.state)
        if state == "unusable":
            reports = [said(error.code, error.message) for error in node.errors or ()]
            return NodeUnusable(node.id, said(None, None, reports))
        if state != "starttaskfailed":
            return None
        info = node.start_task_info
        evidence = exit_evidence(info) if info else "no exit code"
        stderr = self.stderr(node.id, "startup/stderr.txt")
        return StartTaskFailed(node.id, evidence, stderr)

    def stderr(self, node_id: str, path: str) -> str:
        """Return the last lines of a file of a node, or why they cannot be had."""
        reason = ""
        for _ in range(READS):
            try:
                with service_errors(f"read {path}"):
                    return last_lines(end_of_file(self._batch, self._pool_id, node_id, path))
            except ServiceError as error:
                # The failure itself is what must be reported; its evidence can be out of reach.
                reason = error.code or str(error)
                if not is_unanswered(error):
                    break
        return f"({path} could not be read: {reason})"

    def _see_lost_nodes(self) -> None:
        """Find out which nodes have left the pool without having been seen to go."""
        there = {node.id for node in self._list_nodes(None)}
        for node_id in self._known.keys() - there:
            node = self._known.pop(node_id)
            self._broken.pop(node_id, None)
            state = lowered(node.state)
            is_spot = node.is_dedicated is False
            if is_spot and not self._pool.enable_auto_scale and state != "preempted":
                self._announcer.node(node_id, "preempted")
                self._warn_of_preemption(node_id)
            else:
                self._announcer.node(node_id, "gone")

    def _warn_of_preemption(self, node_id: str) -> None:
        self._log.warning(
            "spot node %s was preempted: its batch tasks run again elsewhere, and Azure looks for "
            "another node; the run continues",
            node_id,
        )

    def diagnose(self) -> Diagnosis:
        """Return why nothing runs, as far as that lies with the pool.

        Counts may lag behind, so nodes are listed before anything is called hopeless.
        """
        if lowered(self._pool.state) == "deleting":
            error = NothingRuns(self._pool_id, ["the pool is being deleted: run again"])
            return Diagnosis((str(error),), error)
        if self.is_ready:
            return Diagnosis()
        causes = self._causes()
        if self._is_waiting() or self._has_hidden_nodes():
            self._warn(self._others())
            return Diagnosis(causes)
        return Diagnosis(causes, self._hopeless(causes))

    def _warn(self, causes: list[str]) -> None:
        for cause in causes:
            if self._is_new(cause):
                self._log.warning("%s", NothingRuns(self._pool_id, [cause]))

    def _is_waiting(self) -> bool:
        """Tell whether nodes come by themselves, or may at the next evaluation of a formula."""
        is_moving = lowered(self._pool.allocation_state) != "steady"
        tries_again = bool(self._pool.enable_auto_scale) and not self._broken
        if self._resize_error and asks_for_fixed_nodes(self._pool.auto_scale_formula):
            # The service would ask for the same nodes again, and again not get them.
            tries_again = False
        return is_moving or tries_again or not COMING.isdisjoint(self.counts)

    def _has_hidden_nodes(self) -> bool:
        states = {lowered(node.state) for node in self._list_nodes(None)}
        return not states.isdisjoint(READY | COMING)

    def _hopeless(self, causes: tuple[str, ...]) -> PoolError:
        errors = [*self._broken.values(), *filter(None, [self._resize_error])]
        is_alone = len({type(error) for error in errors}) == 1 and not self._others()
        if is_alone:
            return errors[0]
        states = ", ".join(f"{count} {state}" for state, count in sorted(self.counts.items()))
        unknown = f"none of its nodes can work (nodes: {states or 'none'}): run again"
        return NothingRuns(self._pool_id, causes or (unknown,))

    def _causes(self) -> tuple[str, ...]:
        # One of each kind: a hundred nodes fail for the same reason.
        broken = {type(error): str(error) for error in self._broken.values()}
        resize = [str(self._resize_error)] if self._resize_error else []
        return (*broken.values(), *resize, *self._others())

    def _others(self) -> list[str]:
        """Return what else keeps nodes away, in words."""
        counts = self.counts
        return [
            *_formula_causes(self._pool),
            *(
                f"{counts[state]} of its nodes are {state}: {advice}"
                for state, advice in _STILL.items()
                if counts[state]
            ),
            *([_EMPTY] if not counts and not self._is_waiting() and not self._resize_error else []),
        ]


_STILL = {
    "offline": "enable their scheduling",
    "deallocated": "start them",
    "preempted": "Azure has taken its spot nodes away and gives them back when it can",
}
_EMPTY = "it has no nodes and gets none: resize it"


def exit_evidence(info: BatchStartTaskInfo | BatchJobPreparationTaskExecutionInfo) -> str:
    """Return how a node's own task ended, in words; the service may leave out any of it."""
    code = "no exit code" if info.exit_code is None else f"exit code {info.exit_code}"
    failure = info.failure_info
    return f"{code}, {said(failure.code, failure.message)}" if failure else code


def _formula_causes(pool: BatchPool) -> list[str]:
    run = pool.auto_scale_run
    if not pool.enable_auto_scale or run is None:
        return []
    if run.error:
        cause = f"its autoscale formula failed ({said(run.error.code, run.error.message)})"
        return [f"{cause}: fix pool.autoscale_formula"]
    if not (pool.target_dedicated_nodes or pool.target_low_priority_nodes):
        return ["its autoscale formula asks for no nodes: see pool.autoscale_formula"]
    return []


def _pool_state(pool: BatchPool) -> str:
    state = lowered(pool.state)
    return state if state == "deleting" else lowered(pool.allocation_state)


def _allocated(pool: BatchPool) -> datetime | None:
    return pool.allocation_state_transition_time


def _states(counts: BatchNodeCounts) -> Counter[str]:
    """Return counts by state as a list of nodes spells them; states without nodes are left out."""
    found = {lowered(str(name)): count for name, count in counts.items()}
    return Counter({state: count for state, count in found.items() if count and state != "total"})


def end_of_file(batch: BatchClient, pool_id: str, node_id: str, path: str) -> bytes:
    """Return the last bytes of a file of a node, of which there may be gigabytes."""
    names = (pool_id, node_id, path)
    size = int(optional(batch.get_node_file_properties(*names).content_length) or 0)
    last = f"bytes={max(0, size - TAIL_BYTES)}-{size - 1}" if size else None
    end = b""
    for block in batch.download_node_file(*names, ocp_range=last):
        end = (end + block)[-TAIL_BYTES:]
    return end

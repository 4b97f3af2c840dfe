"""Every error of the pipeline; each says what happened to which id, the evidence, and what to do.

PipelineError
├── ConfigurationError      a setting or credential that can never work
│   ├── BadInput            an input that cannot be counted
│   ├── FolderInUse         another run is at work in the output folder
│   └── BatchTaskTooLarge   a batch task has more files than the service takes in one call
├── ServiceError            a service refused a call, or could not be reached
│   └── BatchTasksRefused   some batch tasks of a collection were not taken
├── NotOwned                a resource of our name belongs to another run
├── RunLost                 this process must not continue the run
│   ├── HeartbeatLost       its heartbeat is gone, or could not be written for too long
│   ├── HeartbeatDamaged    its heartbeat cannot be read
│   ├── RunTakenOver        another process works on the run; nothing of it is deleted
│   ├── RunIsAlive          the run to resume is at work, or was a moment ago
│   └── RunIsOver           the run to resume has succeeded
├── PoolError
│   ├── PoolResizeFailed    the pool cannot grow
│   ├── StartTaskFailed     a node's start task failed
│   ├── NodeUnusable        a node broke
│   ├── NodesNotReady       no node was ready in time
│   └── NothingRuns         several causes, or one that only a person can end
├── BatchTaskError
│   ├── SubmissionTimedOut  batch tasks were not taken in time
│   ├── BatchTasksFailed    batch tasks ended without success
│   ├── BatchTasksTimedOut  batch tasks did not end in time
│   └── JobEnded            the job ended before its batch tasks
├── OutputMissing           a batch task succeeded without its output
├── OutputDamaged           an archive of outputs is not what the node program makes
├── OutputReplaced          somebody else wrote into the output folder meanwhile
├── OutputUnreadable        an output is not in the node program's format
└── CleanUpIncomplete       something could not be deleted
"""

# ruff: noqa: N818 - the names say what happened, not that it is an error

from collections.abc import Mapping, Sequence

from prefect_azure_batch.messages import advice, few, indented


class PipelineError(Exception):
    """The run cannot continue."""


class ConfigurationError(PipelineError):
    """A setting or credential can never work; repeating does not help."""


class BadInput(ConfigurationError):
    """An input cannot be counted: absent, unreadable or not text."""


class FolderInUse(ConfigurationError):
    """Another run is at work in the output folder."""


class BatchTaskTooLarge(ConfigurationError):
    """A batch task alone is larger than the service takes in one call."""

    def __init__(self, batch_task_id: str, num_files: int, num_inputs: int) -> None:
        super().__init__(batch_task_id, num_files, num_inputs)

    def __str__(self) -> str:
        """Name the batch task and what to lower."""
        batch_task_id, num_files, num_inputs = self.args
        return (
            f"batch task {batch_task_id} ({num_files} files for {num_inputs} inputs) is larger "
            "than the service takes in one call: lower job.files_per_batch_task, or shorten the "
            "names of the inputs"
        )


class ServiceError(PipelineError):
    """A service refused a call or could not be reached.

    Attributes:
        code: the service's error code, None if no answer came.
        status: the HTTP status, None if no answer came.
        retry_after_s: seconds that the service asks to wait before the next call; 0: it does not.
    """

    def __init__(
        self,
        message: str,
        code: str | None = None,
        status: int | None = None,
        retry_after_s: float = 0,
    ) -> None:
        super().__init__(message, code, status, retry_after_s)
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        """Say what failed and what to do."""
        return f"{self.args[0]}{advice(self.code)}"


class BatchTasksRefused(ServiceError):
    """Some batch tasks of a collection were not taken."""


class NotOwned(PipelineError):
    """A resource of our name exists and belongs to another run; it is left alone."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(kind, name)

    def __str__(self) -> str:
        """Say which resource."""
        kind, name = self.args
        return f"{kind} {name} exists and is not of this run: delete it or rename it"


class RunLost(PipelineError):
    """This process must not continue the run."""


class HeartbeatLost(RunLost):
    """The run's heartbeat is gone, or could not be written for too long."""

    def __init__(self, run: str, reason: str) -> None:
        super().__init__(run, reason)

    def __str__(self) -> str:
        """Say what became of the heartbeat."""
        run, reason = self.args
        return f"run {run} lost its heartbeat, so it stops here: {reason}"


class HeartbeatDamaged(RunLost):
    """The run's heartbeat cannot be read."""

    def __str__(self) -> str:
        """Say what it is about, and how to continue."""
        run = self.args[0]
        return (
            f"the heartbeat of run {run} is damaged: nobody can know who works on it; see which "
            f"flow run does, and if none, delete the blob `heartbeat` in container "
            f"{run}-application, and try again"
        )


class RunTakenOver(RunLost):
    """Another process works on the run."""

    def __init__(self, run: str, flow_run_id: str) -> None:
        super().__init__(run, flow_run_id)

    def __str__(self) -> str:
        """Say who has it."""
        run, flow_run_id = self.args
        return (
            f"flow run {flow_run_id} has taken over run {run}: this one stops and deletes nothing; "
            "look there for the results"
        )


class RunIsAlive(RunLost):
    """The run to resume is at work, or was a moment ago."""

    def __init__(self, run: str, flow_run_id: str, age_s: float, limit_s: float) -> None:
        super().__init__(run, flow_run_id, age_s, limit_s)

    def __str__(self) -> str:
        """Say who has it, and when it can be taken."""
        run, flow_run_id, age_s, limit_s = self.args
        return (
            f"run {run} is alive: flow run {flow_run_id} had a heartbeat {age_s:.0f} s ago; cancel "
            f"that one, or resume when it has been silent for {limit_s:g} s "
            f"(its clean_up.heartbeat_limit_s), at the earliest in {max(limit_s - age_s, 1):.0f} s"
        )


class RunIsOver(RunLost):
    """The run to resume has succeeded."""

    def __str__(self) -> str:
        """Say where the outputs are, and what becomes of the rest."""
        run = self.args[0]
        return (
            f"run {run} has succeeded, and there is nothing to resume: its outputs are in the "
            "output folder that it was given; what is left of it on the services is deleted by the "
            f"janitor (batch-map janitor --run {run}); to count again, run without resume"
        )


class PoolError(PipelineError):
    """The pool will not run the batch tasks."""


class PoolResizeFailed(PoolError):
    """The pool cannot grow to the nodes asked for."""

    def __init__(self, pool_id: str, code: str, message: str) -> None:
        super().__init__(pool_id, code, message)
        self.code = code

    def __str__(self) -> str:
        """Say why."""
        pool_id, code, message = self.args
        return f"pool {pool_id} cannot grow: {code}: {message}{advice(code)}"


class StartTaskFailed(PoolError):
    """The start task failed on a node, so the node takes no batch tasks."""

    def __init__(self, node_id: str, evidence: str, stderr: str) -> None:
        super().__init__(node_id, evidence, stderr)

    def __str__(self) -> str:
        """Say on which node, how, and show its stderr."""
        node_id, evidence, stderr = self.args
        return (
            f"the start task failed on node {node_id}: {evidence}; "
            f"fix pool.start_task_command, or take an image with Python 3 (pool.image_offer)"
            f"{indented(stderr)}"
        )


class NodeUnusable(PoolError):
    """A node broke."""

    def __init__(self, node_id: str, evidence: str) -> None:
        super().__init__(node_id, evidence)

    def __str__(self) -> str:
        """Say which node and what it reports."""
        node_id, evidence = self.args
        return f"node {node_id} is unusable: {evidence}; run again, or try another pool.vm_size"


class NodesNotReady(PoolError):
    """No node was ready in time."""

    def __init__(
        self, pool_id: str, timeout_s: float, states: Mapping[str, int], why: Sequence[str] = ()
    ) -> None:
        super().__init__(pool_id, timeout_s, dict(states), tuple(why))

    def __str__(self) -> str:
        """Say how long was waited, what the nodes were doing, and why."""
        pool_id, timeout_s, states, why = self.args
        seen = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"
        causes = "".join(f"; {cause}" for cause in why)
        if states.get("waitingforstarttask"):
            causes += "; a start task still runs, see whether pool.start_task_command hangs"
        return (
            f"no node of pool {pool_id} was ready for {timeout_s:g} s (nodes: {seen}){causes}; "
            "raise pool.allocation_timeout_s if it needs more time"
        )


class NothingRuns(PoolError):
    """Batch tasks wait, and nothing that the service does by itself will let them run."""

    def __init__(self, pool_id: str, causes: Sequence[str]) -> None:
        super().__init__(pool_id, tuple(causes))
        self.causes = tuple(causes)

    def __str__(self) -> str:
        """Say why."""
        pool_id, causes = self.args
        return f"nothing runs on pool {pool_id}: {'; '.join(causes)}"


class BatchTaskError(PipelineError):
    """The batch tasks did not do their work."""


class SubmissionTimedOut(BatchTaskError):
    """Batch tasks were not taken in time."""

    def __init__(
        self, job_id: str, num_taken: int, num_planned: int, timeout_s: float, reason: str
    ) -> None:
        super().__init__(job_id, num_taken, num_planned, timeout_s, reason)

    def __str__(self) -> str:
        """Say how many are in, what the service said last, and how to continue."""
        job_id, num_taken, num_planned, timeout_s, reason = self.args
        return (
            f"job {job_id} has {num_taken} of {num_planned} batch tasks after {timeout_s:g} s "
            f"({reason}); raise job.submission_timeout_s, or run again when the service answers"
        )


class BatchTasksFailed(BatchTaskError):
    """Batch tasks ended without success."""

    def __init__(self, num_failed: int, causes: Sequence[str], report: str) -> None:
        super().__init__(num_failed, tuple(causes), report)

    def __str__(self) -> str:
        """Show inputs, exit code and last lines of stderr by cause, and where all of them are."""
        num_failed, causes, report = self.args
        lines = [f"{num_failed} batch task(s) failed:", *causes, f"all failures: {report}"]
        return "\n".join(lines)


class BatchTasksTimedOut(BatchTaskError):
    """Batch tasks did not end in time."""

    def __init__(self, job_id: str, timeout_s: float, pending: Sequence[str]) -> None:
        super().__init__(job_id, timeout_s, tuple(pending))
        self.pending = tuple(pending)

    def __str__(self) -> str:
        """Say what is still pending."""
        job_id, timeout_s, pending = self.args
        return (
            f"job {job_id} was not done after {timeout_s:g} s; pending: {few(pending)}; "
            "raise job.max_wall_clock_time_s"
        )


class JobEnded(BatchTaskError):
    """The job ended before its batch tasks."""

    def __init__(
        self, job_id: str, reason: str, pending: Sequence[str], limit_s: float = 0
    ) -> None:
        super().__init__(job_id, reason, tuple(pending), limit_s)
        self.pending = tuple(pending)

    def __str__(self) -> str:
        """Say why the job ended and what was pending."""
        job_id, reason, pending, limit_s = self.args
        limit = f" ({limit_s:g} s)" if limit_s else ""
        is_limit = reason.lower() == "maxwallclocktimeexpiry"
        return (
            f"job {job_id} ended ({reason}) before batch tasks {few(pending)}; raise "
            f"job.max_wall_clock_time_s{limit}{'' if is_limit else ' if it ran out of time'}"
        )


class OutputMissing(PipelineError):
    """Batch tasks left no good outputs each time that they ran, and did not fail themselves."""

    def __init__(self, num_lost: int, reasons: Sequence[str], report: str) -> None:
        super().__init__(num_lost, tuple(reasons), report)

    def __str__(self) -> str:
        """Say of the first ones what is wrong, and where all of them are."""
        num_lost, reasons, report = self.args
        return (
            f"no good output of {num_lost} batch task(s), although they did not fail themselves: "
            f"{'; '.join(reasons)}; see whether the program writes its output (stdout and stderr "
            "are in logs/ beside the report), what else writes the run's containers, and whether "
            f"nodes reach the storage account; all failures: {report}"
        )


class OutputDamaged(PipelineError):
    """An archive of outputs is not what the node program makes."""


class OutputUnreadable(PipelineError):
    """An output is not in the node program's format."""

    def __init__(self, name: str, line: str) -> None:
        super().__init__(name, line)

    def __str__(self) -> str:
        """Show the line."""
        name, line = self.args
        return (
            f"line {line!r} of output {name!r} is not a word, a tab and a count: somebody else "
            "wrote it; run again, with an output_dir of its own"
        )


class OutputReplaced(PipelineError):
    """Somebody else wrote into the output folder while the run was at work."""


class CleanUpIncomplete(PipelineError):
    """Something of the run could not be deleted; without a time: not for lack of time."""

    def __init__(self, left: Sequence[str], timeout_s: float | None, reason: str = "") -> None:
        super().__init__(tuple(left), timeout_s, reason)
        self.left = tuple(left)

    @property
    def evidence(self) -> str:
        """What is left, and why."""
        left, timeout_s, reason = self.args
        if timeout_s is None:
            return f"{reason}; still there: {', '.join(left)}"
        why = f" ({reason})" if reason else ""
        return f"not gone after {timeout_s:g} s: {', '.join(left)}{why}"

    def __str__(self) -> str:
        """Name what is left, why, and what to do."""
        return (
            f"{self.evidence}; a deletion that was started continues: look again later, and delete "
            "by hand what stays"
        )

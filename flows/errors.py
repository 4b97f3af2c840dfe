"""Every error of the pipeline; each says what happened to which id, the evidence, and what to do.

PipelineError
├── ConfigurationError      a setting or credential that can never work
│   └── BadInput            an input that cannot be counted
├── ServiceError            a service refused a call, or could not be reached
│   └── BatchTasksRefused   some batch tasks of a collection were not taken
├── NotOwned                a resource of our name belongs to another run
├── PoolError
│   ├── PoolResizeFailed    the pool cannot grow
│   ├── StartTaskFailed     a node's start task failed
│   ├── NodeUnusable        a node broke
│   └── NodesNotReady       no node was ready in time
├── BatchTaskError
│   ├── BatchTasksFailed    batch tasks ended without success
│   ├── BatchTasksTimedOut  batch tasks did not end in time
│   └── JobEnded            the job ended before its batch tasks
├── OutputMissing           a batch task succeeded without its output
├── OutputUnreadable        an output is not in the node program's format
└── CleanUpIncomplete       something could not be deleted
"""

# ruff: noqa: N818 - the names say what happened, not that it is an error

import re
from collections.abc import Mapping, Sequence

SIGNATURE = re.compile(r"(?i)\b(sig=)[^&\s\"'<>]+")

ADVICE = {
    "AuthenticationFailed": "check account name and key, and that this machine's clock is right",
    "AuthorizationFailure": "check the account's key, firewall and permissions",
    "InsufficientAccountPermissions": "give the identity a role on the account",
    "PoolQuotaReached": "delete unused pools, or ask for a larger quota",
    "ActiveJobAndScheduleQuotaReached": "delete or terminate jobs, or ask for a larger quota",
    "AccountCoreQuotaReached": "lower pool.dedicated_nodes or pool.vm_size, or ask for more cores",
    "AccountLowPriorityCoreQuotaReached": "ask for a larger quota of spot cores",
    "AllocationFailed": "try another pool.vm_size or region, or later",
    "AllocationTimedout": "raise pool.allocation_timeout_s, or try another pool.vm_size",
    "PoolNotFound": "somebody else deleted the pool: run again",
    "JobNotFound": "somebody else deleted the job: run again",
}


def without_sas(text: str) -> str:
    """Return a text of a service or a node without the signatures of SAS URLs in it.

    Services repeat a URL that they could not use in what they answer.
    """
    return SIGNATURE.sub(r"\1***", text)


def advice(code: str | None) -> str:
    """Return what to do about an error code of a service, as the end of a sentence."""
    return f"; {ADVICE[code]}" if code in ADVICE else ""


class PipelineError(Exception):
    """The run cannot go on."""


class ConfigurationError(PipelineError):
    """A setting or credential can never work; repeating does not help."""


class BadInput(ConfigurationError):
    """An input cannot be counted: absent, unreadable or not text."""


class ServiceError(PipelineError):
    """A service refused a call or could not be reached.

    Attributes:
        code: the service's error code, None if no answer came.
        status: the HTTP status, None if no answer came.
    """

    def __init__(self, message: str, code: str | None = None, status: int | None = None) -> None:
        super().__init__(message, code, status)
        self.code = code
        self.status = status

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
            f"mend pool.start_task_command or job.node_program{quoted(stderr)}"
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

    def __init__(self, pool_id: str, timeout_s: float, states: Mapping[str, int]) -> None:
        super().__init__(pool_id, timeout_s, dict(states))

    def __str__(self) -> str:
        """Say how long was waited and what the nodes were doing."""
        pool_id, timeout_s, states = self.args
        seen = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"
        return (
            f"no node of pool {pool_id} was ready for {timeout_s:g} s (nodes: {seen}); "
            "raise pool.allocation_timeout_s"
        )


class BatchTaskError(PipelineError):
    """The batch tasks did not do their work."""


class BatchTasksFailed(BatchTaskError):
    """Batch tasks ended without success."""

    def __init__(self, failures: Sequence[str]) -> None:
        super().__init__(tuple(failures))
        self.failures = tuple(failures)

    def __str__(self) -> str:
        """Show input, exit code and last lines of stderr of each."""
        return f"{len(self.failures)} batch task(s) failed:\n" + "\n".join(self.failures)


class BatchTasksTimedOut(BatchTaskError):
    """Batch tasks did not end in time."""

    def __init__(self, job_id: str, timeout_s: float, pending: Sequence[str]) -> None:
        super().__init__(job_id, timeout_s, tuple(pending))
        self.pending = tuple(pending)

    def __str__(self) -> str:
        """Say what is still pending."""
        job_id, timeout_s, pending = self.args
        return (
            f"job {job_id} was not done after {timeout_s:g} s; pending: {', '.join(pending)}; "
            "raise job.max_wall_clock_time_s"
        )


class JobEnded(BatchTaskError):
    """The job ended before its batch tasks."""

    def __init__(self, job_id: str, reason: str, pending: Sequence[str]) -> None:
        super().__init__(job_id, reason, tuple(pending))
        self.pending = tuple(pending)

    def __str__(self) -> str:
        """Say why the job ended and what was pending."""
        job_id, reason, pending = self.args
        return (
            f"job {job_id} ended ({reason}) before batch tasks {', '.join(pending)}; "
            "raise job.max_wall_clock_time_s if it ran out of time"
        )


class OutputMissing(PipelineError):
    """Batch tasks succeeded without leaving their outputs."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(tuple(names))
        self.names = tuple(names)

    def __str__(self) -> str:
        """Name the outputs."""
        return (
            f"no output {', '.join(map(repr, self.names))}, although the batch task exited 0: "
            "the node program (job.node_program) must write and upload it"
        )


class OutputUnreadable(PipelineError):
    """An output is not in the node program's format."""

    def __init__(self, line: str) -> None:
        super().__init__(line)

    def __str__(self) -> str:
        """Show the line."""
        return f"line {self.args[0]!r} of an output is no word, tab and count: see job.node_program"


class CleanUpIncomplete(PipelineError):
    """Something of the run could not be deleted."""

    def __init__(self, left: Sequence[str], timeout_s: float, reason: str = "") -> None:
        super().__init__(tuple(left), timeout_s, reason)
        self.left = tuple(left)

    def __str__(self) -> str:
        """Name what is left and why."""
        left, timeout_s, reason = self.args
        why = f" ({reason})" if reason else ""
        return (
            f"not gone after {timeout_s:g} s: {', '.join(left)}{why}; "
            "a deletion that was started goes on: look again later, and delete by hand what stays"
        )


def quoted(stderr: str) -> str:
    """Return the last lines of stderr for the end of a message, indented; nothing if empty."""
    lines = without_sas(stderr).rstrip().splitlines()
    return ":\n" + "\n".join(f"    {line}" for line in lines) if lines else ""

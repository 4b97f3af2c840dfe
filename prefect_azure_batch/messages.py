"""Pieces of messages: lists cut short, last lines of a log, what to do; no SAS signatures."""

import re
from collections.abc import Sequence

from prefect_azure_batch.plain_text import visible

# Of stderr, in errors and reports.
STDERR_LINES = 20
LONGEST_LINE = 300
# What is read of a log for them.
TAIL_BYTES = 64 * 1024
MOST_NAMES = 10
SIGNATURE = re.compile(r"(?i)\b(sig=)[^&\s\"'<>]+")
_ROLE = (
    "give the identity a role on the account (Azure Batch Data Contributor, Storage Blob Data "
    "Contributor); a new role takes some minutes"
)
ADVICE = {
    "AuthenticationFailed": "check account name and key, and that this machine's clock is right",
    "AuthorizationFailure": "check the account's key, firewall and permissions",
    "AuthorizationPermissionMismatch": _ROLE,
    "KeyBasedAuthenticationNotPermitted": "an account that takes no keys (Entra ID only) needs key "
    "and connection_string left empty",
    "InsufficientAccountPermissions": _ROLE,
    "PoolQuotaReached": "delete unused pools, or ask for a larger quota",
    "ActiveJobAndScheduleQuotaReached": "delete or terminate jobs, or ask for a larger quota",
    "AccountCoreQuotaReached": "lower pool.dedicated_nodes or pool.vm_size, or ask for more cores",
    "AccountLowPriorityCoreQuotaReached": "ask for a larger quota of spot cores",
    "AutoScalingFormulaSyntaxError": "fix pool.autoscale_formula",
    "AutoScalingFormulaTooLong": "shorten pool.autoscale_formula",
    "InvalidAutoScalingSettings": "fix pool.autoscale_formula",
    "JobCompleted": "the job has ended: raise job.max_wall_clock_time_s if it ran out of time",
    "AllocationFailed": "try another pool.vm_size or region, or later",
    "AllocationTimedout": "raise pool.allocation_timeout_s, or try another pool.vm_size",
    "PoolNotFound": "somebody else deleted the pool: run again",
    "JobNotFound": "somebody else deleted the job: run again",
}


def advice(code: str | None) -> str:
    """Return what to do about an error code of a service, as the end of a sentence."""
    return f"; {ADVICE[code]}" if code in ADVICE else ""


def without_sas(text: str) -> str:
    """Return a text of a service or a node without signatures of SAS URLs, safe to be shown.

    Services repeat a URL that they could not use in what they answer.
    """
    return visible(without_signatures(text))


def without_signatures(text: str) -> str:
    """Return a text without the signatures of SAS URLs, and otherwise as it is."""
    return SIGNATURE.sub(r"\1***", text)


def said(code: object, message: object, details: Sequence[str] = ()) -> str:
    """Return what a service says of a failure, without signatures; it may leave out all of it.

    Args:
        code: its code; None: it gives none.
        message: its message; None: it gives none.
        details: more of it, each in words.
    """
    texts = [str(getattr(text, "value", text)) for text in (code, message) if text]
    return without_sas("; ".join(filter(None, [": ".join(texts), *details]))) or "no reason given"


def few(names: Sequence[str], most: int = MOST_NAMES) -> str:
    """Return a list of names for people: the first ones, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def last_lines(content: bytes, num_lines: int = STDERR_LINES) -> str:
    """Return the end of a log for people, without signatures and with long lines cut."""
    lines = content.decode(errors="replace").rstrip().splitlines()[-num_lines:]
    return without_sas("\n".join(line[:LONGEST_LINE] for line in lines))


def indented(lines: str) -> str:
    """Return the last lines of a log for the end of a message; nothing if there are none."""
    shown = without_sas(lines).rstrip().splitlines()
    return ":\n" + "\n".join(f"    {line}" for line in shown) if shown else ""

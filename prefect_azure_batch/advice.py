"""What to do about an error code of one of the two services."""

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
    "AutoScalingFormulaSyntaxError": "mend pool.autoscale_formula",
    "AutoScalingFormulaTooLong": "shorten pool.autoscale_formula",
    "InvalidAutoScalingSettings": "mend pool.autoscale_formula",
    "JobCompleted": "the job has ended: raise job.max_wall_clock_time_s if it ran out of time",
    "AllocationFailed": "try another pool.vm_size or region, or later",
    "AllocationTimedout": "raise pool.allocation_timeout_s, or try another pool.vm_size",
    "PoolNotFound": "somebody else deleted the pool: run again",
    "JobNotFound": "somebody else deleted the job: run again",
}


def advice(code: str | None) -> str:
    """Return what to do about an error code of a service, as the end of a sentence."""
    return f"; {ADVICE[code]}" if code in ADVICE else ""

"""The Batch account that is emulated."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Account:
    """The Batch account that is emulated: its name, its base64 key and its quotas."""

    name: str
    key: str = field(repr=False)
    dedicated_core_quota: int = 100
    low_priority_core_quota: int = 100
    pool_quota: int = 100

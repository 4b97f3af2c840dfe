"""Processors: how many this process may use at once."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path


def available_processors() -> int:
    """Return how many processors this process may use: its affinity and its cgroup's quota."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, min(len(os.sched_getaffinity(0)), int(cgroup_quota() or sys.maxsize)))
    return os.cpu_count() or 1


def cgroup_quota(root: str = "/sys/fs/cgroup", own: str = "/proc/self/cgroup") -> float | None:
    """Return the least quota, in processors, of this process's cgroups (version 2), if any."""
    with contextlib.suppress(OSError):
        paths = re.findall(r"^0::/(.*)$", Path(own).read_text(), re.MULTILINE)
        folder = Path(root, *paths[:1])
        quotas = [quota_of(place / "cpu.max") for place in [folder, *folder.parents]]
        return min((quota for quota in quotas if quota), default=None)
    return None


def quota_of(path: Path) -> float | None:
    """Return the quota that a `cpu.max` file sets, in processors; None if it sets none."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = path.read_text().split()
        return int(quota) / int(period)
    return None

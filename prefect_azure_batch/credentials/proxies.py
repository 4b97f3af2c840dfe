"""Proxies of the environment: real services are asked through them, this machine never is."""

import os
from urllib.parse import urlsplit

from prefect_azure_batch.credentials.checks import is_loopback

# Not every client knows what a range means, so the usual names are there too.
THIS_MACHINE = ("127.0.0.1", "localhost", "::1", "127.0.0.0/8")
EVERY_HOST = "*"


def proxy_names() -> list[str]:
    """Return the variables that name a proxy, such as `https_proxy` and `ALL_PROXY`."""
    return [
        name
        for name, value in os.environ.items()
        if value and name.lower().endswith("_proxy") and name.lower() != "no_proxy"
    ]


def bypass_on_this_machine() -> None:
    """Add this machine to `no_proxy`, before Prefect is used; what the user has there stays.

    Without a proxy nothing changes: on macOS the variable alone would hide the system's proxies.
    """
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if not proxy_names() or given.strip() == EVERY_HOST:
        return
    hosts = [host.strip() for host in given.split(",") if host.strip()]
    host = urlsplit(os.environ.get("PREFECT_API_URL", "")).hostname
    more = [*THIS_MACHINE, *([host] if host and is_loopback(host) else [])]
    value = ",".join(dict.fromkeys([*hosts, *more]))
    # Clients differ in which of the two they read.
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = value


def proxies_for(url: str) -> dict[str, str]:
    """Return what an SDK's client is given as `proxies`: nothing, so that the environment counts.

    For this machine it is an empty proxy for each scheme, which means none, whatever `no_proxy` is.
    """
    is_here = is_loopback(urlsplit(url).hostname or "")
    return {"http": "", "https": ""} if is_here else {}

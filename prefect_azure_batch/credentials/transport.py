"""How both clients treat the network: they repeat lost connections, and leave the rest to others.

A call that the service answered with 429 or 5xx is repeated by the Prefect task that made it; so
`retry_status` is 0 here, and each kind of failure has one owner.
"""

from collections.abc import Callable
from typing import Any

from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import SansIOHTTPPolicy

OnAnswer = Callable[[Any], object]
"""Called with each answer of a service, before anybody has read its body."""

# Two more tries of ten seconds each: an unreachable endpoint is an error within about 35 s. While
# a body is sent, requests takes the connection timeout as the limit for all of it.
TIMEOUTS: dict[str, Any] = {
    "connection_timeout": 10,
    "read_timeout": 60,
    "retry_connect": 2,
    "retry_read": 2,
    "retry_status": 0,
}


def ignore(_: object) -> None:
    """Do nothing with an answer."""


class RepeatEveryMethod(SansIOHTTPPolicy[Any, Any]):
    """Have the SDK repeat lost POST and PATCH calls too: every step here is safe to repeat."""

    def on_request(self, request: PipelineRequest[Any]) -> None:
        """Widen the methods that azure-core repeats after a lost connection."""
        request.context.options["retry_on_methods"] = frozenset(
            {"GET", "HEAD", "PUT", "DELETE", "POST", "PATCH"}
        )

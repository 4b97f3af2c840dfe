"""Which requests may come from a page in a browser: they are refused, whatever they ask for.

A page reaches loopback directly, and then its requests have an Origin; or by a name of its own
site that it has made to mean loopback, which the Host tells. A key that is public stops neither.
"""

import re
from collections.abc import Iterable, Mapping

from local_azure.batch.wire.errors import FORBIDDEN, BatchError

_HOST = re.compile(r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[a-z0-9_.-]+?))\.?(?::\d*)?")
_LOOPBACK = re.compile(r"localhost|[a-z0-9_.-]+\.localhost|127\.\d+\.\d+\.\d+|::1")


class Hosts:
    """The names of the emulator: those of loopback, and others that were allowed.

    Args:
        allowed: names or addresses, without ports.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = frozenset(_name_in(name) or name for name in allowed)

    def check(self, headers: Mapping[str, str]) -> None:
        """Check the Host and the Origin of a request.

        Args:
            headers: by lower-case name.

        Raises:
            BatchError: 403, the request may come from a page of another site.
        """
        if "origin" in headers:
            text = "The emulator does not answer pages in a browser: the request has an Origin."
            raise BatchError(FORBIDDEN, "OriginNotAllowedByEmulator", text)
        given = headers.get("host", "")
        name = _name_in(given)
        if name is None or not (_LOOPBACK.fullmatch(name) or name in self._allowed):
            text = (
                f"The emulator is not called {given!r}; if clients reach it by that name, start it "
                "with --allow-host NAME."
            )
            values = [("HeaderName", "Host"), ("HeaderValue", given)]
            raise BatchError(FORBIDDEN, "HostNotAllowedByEmulator", text, values)


def _name_in(host: str) -> str | None:
    """Return the name or address in a Host header, in lower case; None: there is none."""
    found = _HOST.fullmatch(host.strip().lower())
    return found and (found["address"] or found["name"])

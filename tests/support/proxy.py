"""A proxy that forwards nothing, and remembers what it was asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from tests.support.http_server import QuietHandler, serving

SCHEMES = ("http", "https", "all")


class AskedProxy:
    """What a proxy was asked for.

    Args:
        url: where it listens.
        asked: a method and a target for each request: the list grows.
    """

    def __init__(self, url: str, asked: list[str]) -> None:
        self.url = url
        self.asked = asked

    @property
    def environment(self) -> dict[str, str]:
        """The variables that name it, in small and in capital letters."""
        names = [f"{scheme}_proxy" for scheme in SCHEMES]
        return dict.fromkeys([*names, *(name.upper() for name in names)], self.url)


@contextmanager
def asked_proxy() -> Iterator[AskedProxy]:
    """Listen on loopback, and refuse everything."""
    asked: list[str] = []

    class Handler(QuietHandler):
        """Notes a request and refuses it."""

        def refuse(self) -> None:
            """Answer that nothing is forwarded."""
            asked.append(f"{self.command} {self.path}")
            self.send_error(HTTPStatus.FORBIDDEN)

    for method in ("CONNECT", "GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.refuse)
    with serving(Handler) as url:
        yield AskedProxy(url, asked)

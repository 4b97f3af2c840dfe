"""One request as the operations see it, and the replies they make: no HTTP library in sight."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO
from urllib.parse import quote

from local_azure.batch.state.service import BatchService
from local_azure.batch.state.store import Store
from local_azure.batch.wire.formats import Json


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request: `ids` from its path, `query` by lower-case name, `body` parsed from JSON."""

    service: BatchService
    base_url: str
    path: str
    ids: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: object = None
    body_size: int = 0

    @property
    def store(self) -> Store:
        """The account's store."""
        return self.service.store

    def url(self, *parts: str) -> str:
        """Return the URL of a resource of the account."""
        return "/".join([self.base_url, *(quote(part, safe="") for part in parts)])


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What an operation answers.

    Attributes:
        body: to be written as JSON.
        text: the body, where it is JSON already.
        file: in place of both, an open file; `length` bytes of it are sent, and it is closed.
    """

    status: int = 200
    body: Json | None = None
    text: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    file: IO[bytes] | None = None
    length: int = 0

"""Requests to the Batch emulator that the SDK would not send, signed by a few lines of ours."""

import base64
import hashlib
import hmac
import http.client
import json
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from tests.support.emulator.emulators import ACCOUNT, KEY, Emulator

VERSION = "api-version=2025-06-01"


class Answer(NamedTuple):
    """An answer as it came over the wire."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


def authorization(method: str, path: str, query: str, headers: dict[str, str]) -> str:
    """Sign a request as the documentation of the service says."""
    names = (
        "content-encoding content-language content-length content-md5 content-type date "
        "if-modified-since if-match if-none-match if-unmodified-since range"
    )
    lines = [method, *(headers.get(name, "") for name in names.split())]
    lines += sorted(f"{name}:{value}" for name, value in headers.items() if name[:4] == "ocp-")
    lines += [f"/{ACCOUNT}{path}"]
    lines += sorted(f"{name.lower()}:{value}" for name, value in parse_qsl(query))
    mac = hmac.new(base64.b64decode(KEY), "\n".join(lines).encode(), hashlib.sha256)
    return f"SharedKey {ACCOUNT}:{base64.b64encode(mac.digest()).decode()}"


def ask(
    emulator: Emulator,
    method: str,
    target: str,
    body: bytes | None = None,
    **more: str,
) -> Answer:
    """Send a request that the SDK would not send, signed unless `authorization` is given."""
    path, _, query = target.partition("?")
    headers = {"ocp-date": format_datetime(datetime.now(UTC), usegmt=True)}
    if body is not None:
        headers |= {"content-type": "application/json", "content-length": str(len(body))}
    elif method in {"POST", "PUT", "PATCH"}:
        headers["content-length"] = "0"
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    headers.setdefault("authorization", authorization(method, path, query, headers))
    connection = http.client.HTTPConnection(emulator.url.removeprefix("http://"), timeout=10)
    connection.request(method, target, body, {k: v for k, v in headers.items() if v})
    response = connection.getresponse()
    answer = Answer(response.status, response.headers, response.read())
    connection.close()
    return answer

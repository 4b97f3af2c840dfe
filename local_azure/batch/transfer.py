"""Blobs to and from a node, by SAS URL over HTTP, as the node agent does it.

No error text contains a query string: that is where a SAS stands.
"""

import contextlib
import shutil
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

_TIMEOUT_S = 300
_ATTEMPTS = 3
_RETRY_DELAY_S = 0.2
_KINDS: dict[int, str] = {HTTPStatus.NOT_FOUND: "missing", HTTPStatus.FORBIDDEN: "denied"}
_API_VERSION = "2021-12-02"
# Loopback and the public cloud: a proxy of the laptop has no part in either.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


class TransferError(Exception):
    """A blob could not be read or written.

    Args:
        kind: denied, missing or other.
        message: what happened to which URL, without its query string.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def download(url: str, path: Path) -> None:
    """Write what a URL holds to a file, streaming.

    Raises:
        TransferError: it could not be read.
        OSError: the file could not be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _request("GET", url) as reply, path.open("wb") as file:
        shutil.copyfileobj(reply, file, 1 << 20)


def upload(path: Path, container_url: str, name: str, headers: Mapping[str, str]) -> None:
    """Write a file as a block blob of a container given by SAS URL.

    Raises:
        TransferError: it could not be written.
    """
    given = {
        "x-ms-blob-type": "BlockBlob",
        "Content-Type": "application/octet-stream",
        "Content-Length": str(path.stat().st_size),
        **headers,
    }
    _request("PUT", blob_url(container_url, name), given, path).close()


def blob_url(container_url: str, name: str) -> str:
    """Give the URL of a blob, with the query string (the SAS) of its container's URL."""
    parts = urlsplit(container_url)
    path = f"{parts.path.rstrip('/')}/{quote(name, safe='/')}"
    return urlunsplit(parts._replace(path=path))


def list_blobs(container_url: str, prefix: str) -> Iterator[str]:
    """Give the names of a container's blobs below a prefix.

    Raises:
        TransferError: it could not be listed.
    """
    parts = urlsplit(container_url)
    sas = parse_qsl(parts.query)
    marker = ""
    while True:
        query = [*sas, ("restype", "container"), ("comp", "list"), ("prefix", prefix)]
        query += [("marker", marker)] if marker else []
        with _request("GET", urlunsplit(parts._replace(query=urlencode(query)))) as reply:
            root = ET.fromstring(reply.read())  # noqa: S314 - the storage account's own answer
        yield from (name.text or "" for name in root.iterfind("./Blobs/Blob/Name"))
        marker = root.findtext("NextMarker") or ""
        if not marker:
            return


def _request(
    method: str, url: str, headers: Mapping[str, str] | None = None, body: Path | None = None
) -> HTTPResponse:
    attempt = 1
    while True:
        try:
            return _once(method, url, headers or {}, body)
        except TransferError as error:
            if error.kind != "other" or attempt == _ATTEMPTS:
                raise
            time.sleep(_RETRY_DELAY_S * attempt)
            attempt += 1


def _once(method: str, url: str, headers: Mapping[str, str], body: Path | None) -> HTTPResponse:
    shown = url.partition("?")[0]
    if not url.startswith(("http://", "https://")):
        raise TransferError("missing", f"{shown}: not an http or https URL")
    with contextlib.ExitStack() as stack:
        data = stack.enter_context(body.open("rb")) if body is not None else None
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
            url, data=data, headers={"x-ms-version": _API_VERSION, **headers}, method=method
        )
        try:
            reply: HTTPResponse = _open(request, timeout=_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            error.close()
            kind = _KINDS.get(error.code, "other")
            raise TransferError(kind, f"{method} {shown}: HTTP {error.code}") from None
        except (OSError, ValueError) as error:
            raise TransferError("other", f"{method} {shown}: {type(error).__name__}") from None
        return reply

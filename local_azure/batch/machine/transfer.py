"""Blobs to and from a node, by SAS URL over HTTP, as the node agent does it.

No error text contains a query string: a SAS is part of it.
"""

import contextlib
import ipaddress
import os
import threading
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from local_azure.batch.machine.background import in_thread
from local_azure.batch.machine.regular_files import open_to_read, open_to_write

ResultT = TypeVar("ResultT")

_TIMEOUT_S = 60
_ATTEMPTS = 3
_RETRY_DELAY_S = 0.2
_BLOCK = 1 << 18
# Of 5000 blobs, with the longest names that there are.
_MAX_LIST_BYTES = 64 * 1024 * 1024
_KINDS: dict[int, str] = {HTTPStatus.NOT_FOUND: "missing", HTTPStatus.FORBIDDEN: "denied"}
_API_VERSION = "2021-12-02"
_NO_HTTP = ("socks", "socks4", "socks4a", "socks5", "socks5h")


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


class HaltedError(Exception):
    """A transfer was stopped because nobody waits for it any more."""


class Halt:
    """Stops the transfers of one command, which run in threads of their own.

    After `now` they change nothing on the node any more: its folder may be gone, or another's.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._halted = False

    async def now(self) -> None:
        """Stop them; what is being read or written at the moment is waited for."""
        self._halted = True
        if self._lock.acquire(blocking=False):
            self._lock.release()
        else:
            await in_thread(self._wait)

    def _wait(self) -> None:
        with self._lock:
            pass

    @contextlib.contextmanager
    def unless(self) -> Iterator[None]:
        """Keep `now` waiting for the body.

        Raises:
            HaltedError: it has been called before.
        """
        with self._lock:
            if self._halted:
                raise HaltedError
            yield


class _Body:
    """A file as the body of a request, which breaks off when it is halted.

    It ends at the size that the file has now, also if something still writes to it.
    """

    def __init__(self, path: Path, halt: Halt) -> None:
        self._file = open_to_read(path)
        self._halt = halt
        self.size = self._left = os.fstat(self._file.fileno()).st_size

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        with self._halt.unless():
            block = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(block)
        return block

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def download(url: str, path: Path, mode: int, halt: Halt) -> None:
    """Write what a URL holds to a file, streaming.

    Args:
        url: what to read.
        path: the file; folders above it are made.
        mode: permissions of the file.
        halt: ends it.

    Raises:
        TransferError: it could not be read.
        OSError: the file could not be written.
    """

    def attempt() -> None:
        with _once("GET", url) as reply:
            with halt.unless():
                path.parent.mkdir(parents=True, exist_ok=True)
                file = open_to_write(path, mode)
            try:
                with file:
                    for block in _blocks(reply, url):
                        with halt.unless():
                            file.write(block)
            except OSError as error:
                # Of a full disk, Python does not say which file it was.
                error.filename = error.filename or str(path)
                raise

    _retry(attempt)


def upload(
    path: Path, container_url: str, name: str, headers: Mapping[str, str], halt: Halt
) -> None:
    """Write a file as a block blob of a container given by SAS URL.

    Raises:
        TransferError: it could not be written.
        OSError: the file could not be read.
    """
    given = {
        "x-ms-blob-type": "BlockBlob",
        "Content-Type": "application/octet-stream",
    }

    url = blob_url(container_url, name)

    def attempt() -> None:
        with contextlib.closing(_Body(path, halt)) as body:
            sent = {**given, "Content-Length": str(body.size), **headers}
            _once("PUT", url, sent, body).close()

    _retry(attempt)


def blob_url(container_url: str, name: str) -> str:
    """Return the URL of a blob, with the query string (the SAS) of its container's URL.

    Raises:
        TransferError: the container's URL is not valid.
    """
    parts = _parts(container_url)
    try:
        path = f"{parts.path.rstrip('/')}/{quote(name, safe='/')}"
    except UnicodeEncodeError:
        raise TransferError("other", f"{name!r} is not text, as the name of a blob is") from None
    return urlunsplit(parts._replace(path=path))


def _parts(container_url: str) -> SplitResult:
    try:
        return urlsplit(container_url)
    except ValueError:
        raise TransferError("missing", "the container's URL is not valid") from None


def list_blobs(container_url: str, prefix: str, halt: Halt) -> Iterator[str]:
    """Return the names of a container's blobs below a prefix.

    Raises:
        TransferError: it could not be listed.
    """
    parts = _parts(container_url)
    sas = parse_qsl(parts.query)
    marker = ""
    while True:
        query = [*sas, ("restype", "container"), ("comp", "list"), ("prefix", prefix)]
        query += [("marker", marker)] if marker else []
        with halt.unless():
            pass
        root = _xml(urlunsplit(parts._replace(query=urlencode(query))))
        yield from (name.text or "" for name in root.iterfind("./Blobs/Blob/Name"))
        marker = root.findtext("NextMarker") or ""
        if not marker:
            return


def _xml(url: str) -> ET.Element:
    def attempt() -> ET.Element:
        with _once("GET", url) as reply:
            text = bytearray()
            for block in _blocks(reply, url):
                text += block
                if len(text) > _MAX_LIST_BYTES:
                    raise TransferError("missing", f"{_shown(url)}: not a list of blobs")
        try:
            return ET.fromstring(text)  # noqa: S314 - the storage account's own answer
        except ET.ParseError:
            raise TransferError("other", f"{_shown(url)}: not a list of blobs") from None

    return _retry(attempt)


def _blocks(reply: HTTPResponse, url: str) -> Iterator[bytes]:
    """Return the bytes of a reply as they come.

    Raises:
        TransferError: the connection broke, or ended before the reply did.
    """
    missing = reply.length
    try:
        while missing != 0 and (block := reply.read1(_BLOCK)):
            yield block
            missing = None if missing is None else missing - len(block)
    except (OSError, HTTPException) as error:
        raise TransferError("other", f"GET {_shown(url)}: {type(error).__name__}") from None
    if missing:
        raise TransferError("other", f"GET {_shown(url)}: {missing} bytes are missing")


def _shown(url: str) -> str:
    return url.partition("?")[0]


def _retry(attempt: Callable[[], ResultT]) -> ResultT:
    for number in range(1, _ATTEMPTS):
        try:
            return attempt()
        except TransferError as error:
            if error.kind != "other":
                raise
            time.sleep(_RETRY_DELAY_S * number)
    return attempt()


def _opener_for(url: str) -> urllib.request.OpenerDirector:
    """Return what asks for a URL: through the proxy of the environment, but never this machine."""
    found = {} if _is_loopback(urlsplit(url).hostname or "") else urllib.request.getproxies()
    wanted = {scheme: found.get(scheme) or found.get("all", "") for scheme in ("http", "https")}
    # urllib cannot speak SOCKS, and would speak HTTP to it.
    usable = {
        scheme: proxy
        for scheme, proxy in wanted.items()
        if proxy and proxy.partition("://")[0].lower() not in _NO_HTTP
    }
    return urllib.request.build_opener(urllib.request.ProxyHandler(usable))


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _once(
    method: str, url: str, headers: Mapping[str, str] | None = None, body: _Body | None = None
) -> HTTPResponse:
    if not url.startswith(("http://", "https://")):
        raise TransferError("missing", f"{_shown(url)}: not an http or https URL")
    try:
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
            url, data=body, headers={"x-ms-version": _API_VERSION, **(headers or {})}, method=method
        )
        reply: HTTPResponse = _opener_for(url).open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        kind = _KINDS.get(error.code, "other")
        raise TransferError(kind, f"{method} {_shown(url)}: HTTP {error.code}") from None
    except (OSError, ValueError, HTTPException) as error:
        raise TransferError("other", f"{method} {_shown(url)}: {type(error).__name__}") from None
    return reply

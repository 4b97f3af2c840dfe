"""Shared-key signatures of the Batch REST API, as the clients make them, and bearer tokens.

The string to sign is made of the request exactly as it was received: headers that are absent
count as empty, the path stays percent-encoded, query values are decoded.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from local_azure.batch.server import tokens
from local_azure.batch.wire.errors import BatchError, authentication_failed

_SIGNED_HEADERS = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)


@dataclass(frozen=True, kw_only=True)
class SignedRequest:
    """What of a request is signed.

    Attributes:
        raw_path: path as on the request line, percent-encoded.
        query: query string as on the request line.
        headers: by lower-case name.
    """

    method: str
    raw_path: str
    query: str
    headers: Mapping[str, str]


def string_to_sign(account: str, request: SignedRequest) -> str:
    """Build what a client signs; `account` is the name in the Authorization header."""
    method, headers = request.method.upper(), request.headers
    lines = [method, *(headers.get(name, "") for name in _SIGNED_HEADERS)]
    if method in {"GET", "HEAD"}:
        lines[1 + _SIGNED_HEADERS.index("content-length")] = ""
    lines += sorted(f"{name}:{value}" for name, value in headers.items() if name[:4] == "ocp-")
    first: dict[str, str] = {}
    for name, value in parse_qsl(request.query, keep_blank_values=False):
        first.setdefault(name.lower(), value)
    resource = f"/{account}{request.raw_path}"
    resource += "".join(f"\n{name}:{first[name]}" for name in sorted(first))
    return "\n".join([*lines, resource])


def sign(key: str, text: str) -> str:
    """Sign `text` with a base64 account key."""
    digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def verify(account: str, key: str, request: SignedRequest) -> None:
    """Check the Authorization header of a request: a signature with the key, or a bearer token.

    Raises:
        BatchError: 401 where the header is missing or malformed, 403 where account or
            signature is wrong.
    """
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme == "Bearer":
        tokens.verify(credential, time.time())
        return
    name, _, signature = credential.partition(":")
    if scheme != "SharedKey" or not signature:
        raise BatchError(
            401,
            "InvalidAuthenticationInfo",
            "The Authorization header is neither SharedKey account:signature nor Bearer token.",
        )
    text = string_to_sign(name, request)
    known = hmac.compare_digest(name.encode(), account.encode())
    genuine = hmac.compare_digest(signature.encode(), sign(key, text).encode())
    if not known:
        raise authentication_failed(f"there is no account {name} here")
    if not genuine:
        raise authentication_failed("the signature does not match the request and the account key")

"""Checks of endpoints and keys; each failure is a ValueError that names the part and what to do."""

import base64
import binascii
import ipaddress
from urllib.parse import urlsplit

from pydantic import SecretStr


def checked_endpoint(field: str, url: str, *, has_key: bool) -> str:
    """Return the URL without its trailing slash if credentials may travel to it.

    Args:
        field: what to call the URL in an error.
        url: an https URL, or an http one of this machine.
        has_key: a shared key signs the requests; without one a token is sent, which needs https.

    Raises:
        ValueError: no scheme, no host, or plain http where it would give credentials away.
    """
    parts = urlsplit(url.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{field} {url!r} is not a URL: write it as https://host[:port]")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError(
            f"{field} {url!r} is plain http to another machine: use https "
            "(http is accepted for this machine only)"
        )
    if parts.scheme == "http" and not has_key:
        raise ValueError(f"{field} {url!r} is http, and Entra ID needs https: give a key as well")
    return url.strip().rstrip("/")


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address means this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_key(field: str, key: SecretStr) -> SecretStr:
    """Return an account key if it can sign; the message never shows it.

    Raises:
        ValueError: the key is not base64, or only blanks.
    """
    text = key.get_secret_value().strip()
    try:
        decoded = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(
            f"{field} is not base64: copy the whole account key, padding (=) included"
        ) from error
    if not decoded:
        raise ValueError(f"{field} is empty: give the account key, or leave the field out")
    return SecretStr(text)


def checked_name(field: str, name: str) -> str:
    """Return an account name without surrounding blanks.

    Raises:
        ValueError: the name is empty.
    """
    if not name.strip():
        raise ValueError(f"{field} is empty: give the name of the account")
    return name.strip()


def check_one_way(**ways: bool) -> None:
    """Refuse two ways to sign in at once: which one counts would be a guess.

    Args:
        ways: by field, whether it is filled in.

    Raises:
        ValueError: more than one is.
    """
    given = [field for field, is_given in ways.items() if is_given]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} are ways to sign in: leave all but one empty")

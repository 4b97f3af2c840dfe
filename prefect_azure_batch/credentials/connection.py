"""What a failed check of a connection says: the service's code, and which field to look at."""

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

_NO_KEYS = (
    "an account that takes no keys (Entra ID only) needs key and connection_string left empty"
)
_ROLE = (
    "give the identity a role on the account (Azure Batch Data Contributor, Storage Blob Data "
    "Contributor); a new role takes some minutes"
)
_ADVICE = {
    "AuthenticationFailed": f"check account name, key and this machine's clock; {_NO_KEYS}",
    "KeyBasedAuthenticationNotPermitted": _NO_KEYS,
    "AuthorizationFailure": f"check key and firewall of the account; without a key, {_ROLE}",
    "AuthorizationPermissionMismatch": _ROLE,
    "InsufficientAccountPermissions": _ROLE,
    "InvalidAuthenticationInfo": "check the cloud of the endpoint, and sign_in",
}


def error_code(error: AzureError) -> str | None:
    """Return the service's code of an SDK error, whichever of the two services it comes from."""
    storage_code = getattr(error, "error_code", None)
    code = storage_code or getattr(getattr(error, "error", None), "code", None)
    # Storage's own header, where the rest of the refusal could not be read.
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    code = code or headers.get("x-ms-error-code")
    return str(getattr(code, "value", code)) if code else None


@contextmanager
def connection_errors(account: str) -> Iterator[None]:
    """Turn what the SDK raises into one sentence.

    Args:
        account: which account at which URL, for the message.

    Raises:
        ConnectionError: no sign-in, no answer, or one that refuses.
    """
    try:
        yield
    except HttpResponseError as error:
        raise ConnectionError(f"{account}: {_refusal(error)}") from error
    except AzureError as error:
        reason = _first_line(str(error))
        raise ConnectionError(
            f"{account} gives no answer ({reason}); check the endpoint"
        ) from error


def _refusal(error: HttpResponseError) -> str:
    code = error_code(error)
    if isinstance(error, ClientAuthenticationError) and code is None:
        return (
            f"Entra ID gave no token ({_first_line(error.message)}); fill in sign_in, "
            "or run `az login`"
        )
    advice = _ADVICE.get(code or "", "check the endpoint")
    return f"{code or f'HTTP {error.status_code}'}: {_first_line(error.message)}; {advice}"


def _first_line(text: str) -> str:
    """Leave out the ids of a request, and what the service saw signed."""
    return next(iter(text.strip().splitlines()), "")

"""Bearer tokens of Entra ID, as far as a laptop can check them: audience and lifetime.

Signatures are not verified: a laptop cannot know who has to sign.
"""

import base64
import json
from typing import Any

from local_azure.batch.wire.errors import BatchError

AUDIENCE = "https://batch.core.windows.net/"
_SKEW_S = 300


def verify(token: str, now_s: float) -> None:
    """Check that a token is for Batch, and valid now.

    Args:
        token: a JWT; its signature may be empty.
        now_s: seconds since 1970, of the machine's clock and not of the emulator's: the token was
            made elsewhere.

    Raises:
        BatchError: 401, it is not.
    """
    claims = _claims(token)
    audiences = claims.get("aud")
    if AUDIENCE.rstrip("/") not in {str(one).rstrip("/") for one in _listed(audiences)}:
        raise _refused(f"its audience is {audiences}, not {AUDIENCE}")
    expiry, start = claims.get("exp"), claims.get("nbf", 0)
    if not isinstance(expiry, int | float) or not isinstance(start, int | float):
        raise _refused("exp and nbf must be numbers of seconds")
    if expiry <= now_s:
        raise _refused("it has expired")
    if start > now_s + _SKEW_S:
        raise _refused("it is not valid yet")


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _claims(token: str) -> dict[str, Any]:
    parts = token.split(".")
    try:
        _header, claims = (json.loads(_decoded(part)) for part in parts[:2])
    # Not base64, not UTF-8 or not JSON; or nested too deeply for the parser.
    except (ValueError, RecursionError) as error:
        raise _refused("it is not a JSON web token") from error
    if len(parts) != 3 or not isinstance(claims, dict):  # noqa: PLR2004 - header, claims, signature
        raise _refused("it is not a JSON web token")
    return claims


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _refused(reason: str) -> BatchError:
    text = f"The access token is not accepted: {reason}."
    return BatchError(401, "InvalidAuthenticationInfo", text)

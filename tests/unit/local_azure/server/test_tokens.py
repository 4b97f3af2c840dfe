"""Which bearer tokens the emulator takes."""

import time
from typing import Any

import pytest

from local_azure.batch.server.tokens import verify
from local_azure.batch.wire.errors import BatchError
from tests.support.tokens import AUDIENCE, token


@pytest.mark.parametrize("audience", [AUDIENCE, AUDIENCE.rstrip("/"), ["other", AUDIENCE]])
def test_tokens_for_batch(audience: Any) -> None:
    """With the audience of Batch, with or without its slash, and not expired."""
    verify(token(aud=audience), time.time())


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "https://management.core.windows.net/"}, "audience"),
        ({"aud": None}, "audience"),
        ({"exp": 1.0}, "expired"),
        ({"exp": None}, "exp"),
        ({"exp": "tomorrow"}, "exp"),
        ({"nbf": 1e12}, "not valid yet"),
    ],
)
def test_tokens_that_are_not_accepted(claims: dict[str, Any], reason: str) -> None:
    """For another service, expired, or not valid yet: 401 with the reason."""
    with pytest.raises(BatchError, match=reason) as caught:
        verify(token(**claims), time.time())

    assert (caught.value.status, caught.value.code) == (401, "InvalidAuthenticationInfo")


@pytest.mark.parametrize("text", ["", "a", "a.b.c", "....", "e30.W10.", "e30.e30", "\u00e9.e30."])
def test_texts_that_are_no_tokens(text: str) -> None:
    """Whatever it is, it is a 401."""
    with pytest.raises(BatchError, match="JSON web token"):
        verify(text, time.time())

"""Signing in without a key: which credential, and what is refused."""

import pytest
from azure.core.credentials import TokenCredential
from azure.identity import (
    ClientSecretCredential,
    DefaultAzureCredential,
    ManagedIdentityCredential,
)

from prefect_azure_batch.credentials.entra import EntraSignIn

ENDPOINT = "https://acc.westeurope.batch.azure.com"
PRINCIPAL = {"tenant_id": "tenant", "client_id": "client", "client_secret": "hush-hush"}


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, DefaultAzureCredential),
        ({"client_id": "client"}, ManagedIdentityCredential),
        (PRINCIPAL, ClientSecretCredential),
    ],
)
def test_which_credential(fields: dict[str, str], kind: type[TokenCredential]) -> None:
    """The fields that are filled in say who signs in."""
    sign_in = EntraSignIn.model_validate(fields)

    assert isinstance(sign_in.credential(ENDPOINT), kind)


@pytest.mark.parametrize("missing", ["tenant_id", "client_id", "client_secret"])
def test_incomplete_principal(missing: str) -> None:
    """The missing part of a service principal is named; a client ID alone is complete."""
    fields = {name: value for name, value in PRINCIPAL.items() if name != missing}

    with pytest.raises(ValueError, match=rf"sign_in\.{missing} is missing") as raised:
        EntraSignIn.model_validate(fields)

    assert "hush" not in str(raised.value)


def test_tokens_are_not_asked_for_in_plain_text() -> None:
    """A secret would travel to an http authority."""
    with pytest.raises(ValueError, match="authority_host 'http://login' is http: use https"):
        EntraSignIn(authority_host="http://login")

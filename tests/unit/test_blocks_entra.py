"""Signing in without a key: which credential, of which cloud, and what is refused."""

import base64

import pytest
from azure.core.credentials import TokenCredential
from azure.identity import (
    ClientSecretCredential,
    DefaultAzureCredential,
    ManagedIdentityCredential,
)
from pydantic import SecretStr

from blocks import AzureBatchCredentials, AzureStorageCredentials
from prefect_azure_batch.credentials.clouds import cloud_of
from prefect_azure_batch.credentials.entra import EntraSignIn

KEY = base64.b64encode(b"secret").decode()
ENDPOINT = "https://acc.westeurope.batch.azure.com"
PRINCIPAL = {"tenant_id": "tenant", "client_id": "client", "client_secret": "hush-hush"}
BATCH = {"AZURE_BATCH_ACCOUNT": "acc", "AZURE_BATCH_ENDPOINT": ENDPOINT}
VARIABLES = {
    "AZURE_TENANT_ID": "tenant",
    "AZURE_CLIENT_ID": "client",
    "AZURE_CLIENT_SECRET": "hush-hush",
}


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


@pytest.mark.parametrize(
    ("endpoint", "authority", "scope"),
    [
        (ENDPOINT, None, "https://batch.core.windows.net//.default"),
        ("https://127.0.0.1:8443", None, "https://batch.core.windows.net//.default"),
        (
            "https://acc.chinaeast2.batch.chinacloudapi.cn",
            "login.chinacloudapi.cn",
            "https://batch.chinacloudapi.cn//.default",
        ),
        (
            "https://acc.usgovvirginia.batch.usgovcloudapi.net:443/",
            "login.microsoftonline.us",
            "https://batch.core.usgovcloudapi.net//.default",
        ),
        (
            "https://acc.blob.core.usgovcloudapi.net",
            "login.microsoftonline.us",
            "https://batch.core.usgovcloudapi.net//.default",
        ),
        (
            "https://usgovcloudapi.net.example.com",
            None,
            "https://batch.core.windows.net//.default",
        ),
    ],
)
def test_cloud_of_an_endpoint(endpoint: str, authority: str | None, scope: str) -> None:
    """The end of the host tells who issues tokens, and for what resource."""
    cloud = cloud_of(endpoint)

    assert (cloud.authority, cloud.batch_scope) == (authority, scope)


def test_client_of_a_sovereign_cloud() -> None:
    """The SDK's client asks for tokens of its own cloud."""
    block = AzureBatchCredentials(
        account_name="acc", endpoint="https://acc.chinaeast2.batch.chinacloudapi.cn"
    )

    with block.get_client() as client:
        assert client._config.credential_scopes == ["https://batch.chinacloudapi.cn//.default"]


@pytest.mark.parametrize(
    "host", ["acc.blob.core.chinacloudapi.cn", "acc.z1.blob.storage.azure.net", "blobs.example.com"]
)
def test_account_of_a_client(host: str) -> None:
    """What signs SAS URLs knows the account, whatever its host looks like."""
    block = AzureStorageCredentials(account_name="acc", blob_endpoint=f"https://{host}")

    with block.get_client() as client:
        assert client.account_name == "acc"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"key": KEY, "sign_in": {"client_id": "c"}}, "key and sign_in are ways to sign in"),
        ({"key": KEY, "connection_string": "AccountName=a"}, "connection_string and key are"),
    ],
)
def test_two_ways_to_sign_in(fields: dict[str, object], message: str) -> None:
    """Which of two ways counts is not guessed."""
    with pytest.raises(ValueError, match=message):
        AzureStorageCredentials.model_validate({"account_name": "acc"} | fields)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (VARIABLES, EntraSignIn.model_validate(PRINCIPAL)),
        ({"AZURE_CLIENT_ID": "client"}, EntraSignIn(client_id="client")),
        ({"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client"}, EntraSignIn()),
        (VARIABLES | {"AZURE_BATCH_ACCESS_KEY": KEY}, EntraSignIn()),
        ({"AZURE_AUTHORITY_HOST": "login"}, EntraSignIn(authority_host="login")),
    ],
    ids=["principal", "managed identity", "workload identity", "key", "private cloud"],
)
def test_sign_in_of_the_environment(values: dict[str, str], expected: EntraSignIn) -> None:
    """The variables of azure-identity sign in where there is no key."""
    assert AzureBatchCredentials.from_environment(BATCH | values).sign_in == expected


def test_storage_signs_in_by_the_same_variables() -> None:
    """Both accounts have one principal."""
    block = AzureStorageCredentials.from_environment({"AZURE_STORAGE_ACCOUNT": "acc"} | VARIABLES)

    assert block.sign_in.client_secret == SecretStr("hush-hush")


def test_incomplete_principal_of_the_environment() -> None:
    """A secret without its tenant is refused."""
    with pytest.raises(ValueError, match=r"sign_in\.tenant_id is missing"):
        AzureBatchCredentials.from_environment(BATCH | {"AZURE_CLIENT_SECRET": "hush-hush"})

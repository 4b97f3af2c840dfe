"""The block of a storage account: what it refuses, and the client that it gives."""

import base64

import pytest
from pydantic import SecretStr

from prefect_azure_batch.credentials.storage import AzureStorageCredentials

KEY = base64.b64encode(b"secret").decode()
CONNECTION = f"AccountName=acc;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:1/acc;"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "account_name is missing"),
        ({"account_name": "acc", "key": "!"}, "key is not base64"),
        ({"account_name": "acc", "blob_endpoint": "acc"}, "blob_endpoint .* is not a URL"),
        ({"connection_string": f"AccountName=acc;AccountKey={KEY[:-2]}"}, "AccountKey .* base64"),
        ({"connection_string": "AccountName=acc"}, "connection_string has no AccountKey"),
        (
            {"connection_string": f"DefaultEndpointsProtocol=http;AccountName=a;AccountKey={KEY}"},
            "plain http to another machine",
        ),
        ({"connection_string": "UseDevelopmentStorage=true"}, "has no AccountName"),
        ({"connection_string": CONNECTION.replace("127.0.0.1", "far.example")}, "plain http"),
    ],
)
def test_wrong_part_of_a_storage_account(fields: dict[str, str], message: str) -> None:
    """Each wrong part is refused with its name and what to do."""
    with pytest.raises(ValueError, match=message):
        AzureStorageCredentials.model_validate(fields)


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


def test_key_is_in_no_error() -> None:
    """A wrong key is not repeated by the error about it."""
    with pytest.raises(ValueError, match="not base64") as raised:
        AzureStorageCredentials.model_validate({"account_name": "acc", "key": "hush-hush!"})

    assert "hush" not in str(raised.value)


def test_storage_account_by_parts() -> None:
    """Name and key are enough for Azure: the endpoint is derived."""
    block = AzureStorageCredentials.from_environment(
        {"AZURE_STORAGE_ACCOUNT": "acc", "AZURE_STORAGE_KEY": KEY}
    )

    with block.get_client() as client:
        assert client.url == "https://acc.blob.core.windows.net/"
        assert client.credential.account_key == KEY


def test_connection_string() -> None:
    """A connection string is enough by itself."""
    with AzureStorageCredentials(connection_string=SecretStr(CONNECTION)).get_client() as client:
        assert client.account_name == "acc"


@pytest.mark.parametrize(
    "host", ["acc.blob.core.chinacloudapi.cn", "acc.z1.blob.storage.azure.net", "blobs.example.com"]
)
def test_account_of_a_client(host: str) -> None:
    """What signs SAS URLs knows the account, whatever its host looks like."""
    block = AzureStorageCredentials(account_name="acc", blob_endpoint=f"https://{host}")

    with block.get_client() as client:
        assert client.account_name == "acc"

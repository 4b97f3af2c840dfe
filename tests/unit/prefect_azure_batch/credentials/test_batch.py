"""The block of a Batch account: what it refuses, and the client that it gives."""

import base64

import pytest
from pydantic import SecretStr

from prefect_azure_batch.credentials.batch import AzureBatchCredentials

KEY = base64.b64encode(b"secret").decode()
BATCH = {
    "AZURE_BATCH_ACCOUNT": "acc",
    "AZURE_BATCH_ENDPOINT": "https://acc.westeurope.batch.azure.com/",
    "AZURE_BATCH_ACCESS_KEY": KEY,
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"account_name": " "}, "account_name is empty"),
        ({"endpoint": "acc.batch.azure.com"}, "endpoint .* is not a URL"),
        ({"endpoint": "ftp://acc"}, "endpoint .* is not a URL"),
        ({"endpoint": "http://acc.batch.azure.com"}, "endpoint .* plain http to another machine"),
        ({"endpoint": "http://127.0.0.1:1", "key": ""}, "Entra ID needs https"),
        ({"key": "not base64!"}, "key is not base64"),
        ({"key": "c2Vj\ncmV0cw"}, "key is not base64"),
        ({"key": " "}, "key is empty"),
    ],
)
def test_wrong_part_of_a_batch_account(changes: dict[str, str], message: str) -> None:
    """Each wrong part is refused with its name and what to do."""
    good = {"account_name": "acc", "endpoint": "https://acc", "key": KEY}

    with pytest.raises(ValueError, match=message):
        AzureBatchCredentials.model_validate(good | changes)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "[::1]", "localhost"])
def test_http_is_for_this_machine(host: str) -> None:
    """Plain http is accepted for every name of this machine."""
    block = AzureBatchCredentials(
        account_name="acc", endpoint=f"http://{host}:1/", key=SecretStr(KEY)
    )

    assert block.endpoint == f"http://{host}:1"


@pytest.mark.parametrize("name", ["AZURE_BATCH_ACCOUNT", "AZURE_BATCH_ENDPOINT"])
def test_missing_variable_of_a_batch_account(name: str) -> None:
    """A missing variable is named."""
    values = {key: value for key, value in BATCH.items() if key != name}

    with pytest.raises(ValueError, match=f"{name} is not set"):
        AzureBatchCredentials.from_environment(values)


def test_client_of_a_sovereign_cloud() -> None:
    """The SDK's client asks for tokens of its own cloud."""
    block = AzureBatchCredentials(
        account_name="acc", endpoint="https://acc.chinaeast2.batch.chinacloudapi.cn"
    )

    with block.get_client() as client:
        assert client._config.credential_scopes == ["https://batch.chinacloudapi.cn//.default"]

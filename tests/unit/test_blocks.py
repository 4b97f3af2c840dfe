"""The blocks: what they refuse, and what they read."""

import base64
import json
from pathlib import Path

import prefect
import pytest
from prefect.blocks.core import Block
from prefect.testing.standard_test_suites.blocks import BlockStandardTestSuite
from pydantic import SecretStr

from blocks import AzureBatchCredentials, AzureStorageCredentials

KEY = base64.b64encode(b"secret").decode()
BATCH = {
    "AZURE_BATCH_ACCOUNT": "acc",
    "AZURE_BATCH_ENDPOINT": "https://acc.westeurope.batch.azure.com/",
    "AZURE_BATCH_ACCESS_KEY": KEY,
}
CONNECTION = f"AccountName=acc;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:1/acc;"


@pytest.fixture
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment without accounts, in an empty working directory."""
    for name in [*BATCH, "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("block", [AzureBatchCredentials, AzureStorageCredentials])
class TestStandards(BlockStandardTestSuite):
    """Prefect's own standards for blocks."""

    @pytest.fixture
    def block(self, block: type[Block]) -> type[Block]:
        """The block class under test."""
        return block

    def test_has_a_valid_image(self, block: type[Block]) -> None:
        """The logo is that of Prefect's own Azure blocks; no picture is fetched to see it."""
        catalog = Path(prefect.__file__).parent / "server/collection_blocks_data.json"
        types = json.loads(catalog.read_text())["collections"]["prefect-azure"]["block_types"]

        assert block._logo_url == types["azure-blob-storage-credentials"]["logo_url"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"account_name": " "}, "account_name is empty"),
        ({"endpoint": "acc.batch.azure.com"}, "endpoint .* is no URL"),
        ({"endpoint": "ftp://acc"}, "endpoint .* is no URL"),
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


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "account_name is missing"),
        ({"account_name": "acc", "key": "!"}, "key is not base64"),
        ({"account_name": "acc", "blob_endpoint": "acc"}, "blob_endpoint .* is no URL"),
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


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "[::1]", "localhost"])
def test_http_is_for_this_machine(host: str) -> None:
    """Plain http is accepted for every name of this machine."""
    block = AzureBatchCredentials(
        account_name="acc", endpoint=f"http://{host}:1/", key=SecretStr(KEY)
    )

    assert block.endpoint == f"http://{host}:1"


def test_key_is_in_no_error() -> None:
    """A wrong key is not repeated by the error about it."""
    with pytest.raises(ValueError, match="not base64") as raised:
        AzureStorageCredentials.model_validate({"account_name": "acc", "key": "hush-hush!"})

    assert "hush" not in str(raised.value)


def test_environment_wins_over_env_file(
    empty_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`.env` of the working directory fills in what the environment leaves open."""
    lines = (f"export {name}='{value}'\n" for name, value in BATCH.items())
    (empty_environment / ".env").write_text("".join(lines))
    monkeypatch.setenv("AZURE_BATCH_ACCOUNT", "other")

    block = AzureBatchCredentials.from_environment()

    assert (block.account_name, block.endpoint) == ("other", BATCH["AZURE_BATCH_ENDPOINT"][:-1])


@pytest.mark.parametrize("name", ["AZURE_BATCH_ACCOUNT", "AZURE_BATCH_ENDPOINT"])
def test_missing_variable_of_a_batch_account(name: str) -> None:
    """A missing variable is named."""
    values = {key: value for key, value in BATCH.items() if key != name}

    with pytest.raises(ValueError, match=f"{name} is not set"):
        AzureBatchCredentials.from_environment(values)


@pytest.mark.usefixtures("empty_environment")
def test_missing_storage_account() -> None:
    """Without any storage variable the simplest one is asked for."""
    with pytest.raises(ValueError, match="AZURE_STORAGE_CONNECTION_STRING is not set"):
        AzureStorageCredentials.from_environment()


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

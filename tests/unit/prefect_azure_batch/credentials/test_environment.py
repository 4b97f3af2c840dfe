"""Accounts and sign-ins from the environment and `.env`."""

import base64
from pathlib import Path

import pytest
from pydantic import SecretStr

from prefect_azure_batch.credentials.batch import AzureBatchCredentials
from prefect_azure_batch.credentials.entra import EntraSignIn
from prefect_azure_batch.credentials.storage import AzureStorageCredentials

KEY = base64.b64encode(b"secret").decode()
ACCOUNT = {
    "AZURE_BATCH_ACCOUNT": "acc",
    "AZURE_BATCH_ENDPOINT": "https://acc.westeurope.batch.azure.com/",
}
BATCH = ACCOUNT | {"AZURE_BATCH_ACCESS_KEY": KEY}
VARIABLES = {
    "AZURE_TENANT_ID": "tenant",
    "AZURE_CLIENT_ID": "client",
    "AZURE_CLIENT_SECRET": "hush-hush",
}
PRINCIPAL = {"tenant_id": "tenant", "client_id": "client", "client_secret": "hush-hush"}


@pytest.fixture
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment without accounts, in an empty working directory."""
    for name in [*BATCH, "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_environment_wins_over_env_file(
    empty_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`.env` of the working directory fills in what the environment leaves open."""
    lines = (f"export {name}='{value}'\n" for name, value in BATCH.items())
    (empty_environment / ".env").write_text("".join(lines))
    monkeypatch.setenv("AZURE_BATCH_ACCOUNT", "other")

    block = AzureBatchCredentials.from_environment()

    assert (block.account_name, block.endpoint) == ("other", BATCH["AZURE_BATCH_ENDPOINT"][:-1])


@pytest.mark.usefixtures("empty_environment")
def test_missing_storage_account() -> None:
    """Without any storage variable the simplest one is asked for."""
    with pytest.raises(ValueError, match="AZURE_STORAGE_CONNECTION_STRING is not set"):
        AzureStorageCredentials.from_environment()


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
    assert AzureBatchCredentials.from_environment(ACCOUNT | values).sign_in == expected


def test_storage_signs_in_by_the_same_variables() -> None:
    """Both accounts have one principal."""
    block = AzureStorageCredentials.from_environment({"AZURE_STORAGE_ACCOUNT": "acc"} | VARIABLES)

    assert block.sign_in.client_secret == SecretStr("hush-hush")


def test_incomplete_principal_of_the_environment() -> None:
    """A secret without its tenant is refused."""
    with pytest.raises(ValueError, match=r"sign_in\.tenant_id is missing"):
        AzureBatchCredentials.from_environment(ACCOUNT | {"AZURE_CLIENT_SECRET": "hush-hush"})

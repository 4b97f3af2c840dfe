"""The block of an Azure Storage account; what stands behind the URL is not its business."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from azure.core.credentials import AzureNamedKeyCredential, TokenCredential
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient, ExponentialRetry
from prefect.blocks.abstract import CredentialsBlock
from pydantic import ConfigDict, Field, SecretStr, model_validator

from blocks import environment
from blocks.checks import checked_endpoint, checked_key, checked_name
from blocks.loading import load_named
from blocks.transport import TIMEOUTS


class AzureStorageCredentials(CredentialsBlock):
    """An Azure Storage account: a connection string, or name and endpoint with a key or Entra ID.

    Example:
        Load a stored account and list its containers:

        ```python
        from blocks import AzureStorageCredentials

        credentials = AzureStorageCredentials.load("BLOCK_NAME")
        with credentials.get_client() as client:
            names = [container.name for container in client.list_containers()]
        ```
    """

    # What pydantic would show of a wrong block is its secret.
    model_config = ConfigDict(hide_input_in_errors=True)

    _block_type_name: ClassVar[str | None] = "Azure Storage Credentials"
    _block_type_slug: ClassVar[str | None] = "azure-storage-credentials"
    _description: ClassVar[str | None] = "An Azure Storage account: endpoint, and key or Entra ID."
    _documentation_url: ClassVar[Any] = "https://learn.microsoft.com/azure/storage/blobs/"

    connection_string: SecretStr | None = Field(
        default=None,
        title="Connection string",
        description="Connection string with the account's key; then no other field is needed.",
    )
    account_name: str | None = Field(
        default=None, title="Account name", description="Name of the storage account."
    )
    blob_endpoint: str | None = Field(
        default=None,
        title="Blob endpoint",
        description="URL of the blob service; default https://NAME.blob.core.windows.net.",
    )
    key: SecretStr | None = Field(
        default=None,
        title="Key",
        description="Account key in base64; without it azure-identity signs in (Entra ID).",
    )

    @model_validator(mode="after")
    def check(self) -> Self:
        """Refuse parts that could never work, each with its name and its mend."""
        if self.connection_string is not None:
            _check_connection_string(self.connection_string)
            return self
        if self.account_name is None:
            raise ValueError("account_name is missing: give it, or a connection_string")
        self.account_name = checked_name("account_name", self.account_name)
        if self.key is not None:
            self.key = checked_key("key", self.key)
        url = self.blob_endpoint or f"https://{self.account_name}.blob.core.windows.net"
        self.blob_endpoint = checked_endpoint("blob_endpoint", url, has_key=self.key is not None)
        return self

    def get_client(self, **_: object) -> BlobServiceClient:
        """Return a new client; close it, or use it in a `with` statement."""
        retries = ExponentialRetry(
            initial_backoff=1, increment_base=2, random_jitter_range=1, **_RETRIES
        )
        options = {**_WAITS, **_PIECES, "retry_policy": retries}
        if self.connection_string is not None:
            text = self.connection_string.get_secret_value()
            return BlobServiceClient.from_connection_string(text, **options)
        return BlobServiceClient(str(self.blob_endpoint), self._credential(), **options)

    def _credential(self) -> AzureNamedKeyCredential | TokenCredential:
        if self.key is None:
            return DefaultAzureCredential()
        return AzureNamedKeyCredential(str(self.account_name), self.key.get_secret_value())

    @classmethod
    def from_environment(cls, values: Mapping[str, str] | None = None) -> Self:
        """Build the block from `AZURE_STORAGE_CONNECTION_STRING`, else from the account's parts.

        The parts are `AZURE_STORAGE_ACCOUNT`, `AZURE_STORAGE_BLOB_ENDPOINT`, `AZURE_STORAGE_KEY`.

        Args:
            values: read these instead of the environment and `.env`.

        Raises:
            ValueError: a name is missing, or a value cannot work.
        """
        found = environment.read_environment() if values is None else values
        connection_string = environment.secret(found, environment.STORAGE_CONNECTION_STRING)
        if connection_string is not None:
            return cls(connection_string=connection_string)
        if not found.get(environment.STORAGE_ACCOUNT):
            environment.required(found, environment.STORAGE_CONNECTION_STRING)
        return cls(
            account_name=found[environment.STORAGE_ACCOUNT],
            blob_endpoint=found.get(environment.STORAGE_ENDPOINT),
            key=environment.secret(found, environment.STORAGE_KEY),
        )

    @classmethod
    def load_or_environment(cls, name: str | None) -> Self:
        """Load the block saved as `name`; without a name use the environment and `.env`.

        Raises:
            ValueError: no such block, or a missing or wrong value.
        """
        return cls.from_environment() if name is None else load_named(cls, name)


_RETRIES = {name: value for name, value in TIMEOUTS.items() if name.startswith("retry_")}
_WAITS = {name: value for name, value in TIMEOUTS.items() if name not in _RETRIES}
# Larger pieces would not get through a slow line within the connection timeout (transport.py).
_PIECES: dict[str, Any] = {"max_single_put_size": 1024**2, "max_block_size": 1024**2}


def _check_connection_string(secret: SecretStr) -> None:
    pairs = (part.partition("=") for part in secret.get_secret_value().split(";") if part.strip())
    parts = {name.strip().lower(): value.strip() for name, _, value in pairs}
    for name in ("AccountName", "AccountKey"):
        if not parts.get(name.lower()):
            raise ValueError(
                f"connection_string has no {name}: copy the whole string, from the portal "
                "(Access keys) or from local-azure's env file"
            )
    checked_key("AccountKey of connection_string", SecretStr(parts["accountkey"]))
    if parts.get("defaultendpointsprotocol", "https") != "https" and not parts.get("blobendpoint"):
        raise ValueError(
            "DefaultEndpointsProtocol of connection_string means plain http to another machine: "
            "use https"
        )
    if parts.get("blobendpoint"):
        checked_endpoint("BlobEndpoint of connection_string", parts["blobendpoint"], has_key=True)

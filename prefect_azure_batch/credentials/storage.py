"""The block of an Azure Storage account; what stands behind the URL is not its business."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

from azure.core.credentials import AzureNamedKeyCredential, TokenCredential
from azure.storage.blob import BlobServiceClient
from prefect.blocks.abstract import CredentialsBlock
from pydantic import ConfigDict, Field, SecretStr, model_validator

from prefect_azure_batch.credentials import environment
from prefect_azure_batch.credentials.catalog import LOGO_URL
from prefect_azure_batch.credentials.checks import (
    check_one_way,
    checked_endpoint,
    checked_key,
    checked_name,
)
from prefect_azure_batch.credentials.connection import connection_errors
from prefect_azure_batch.credentials.entra import EntraSignIn
from prefect_azure_batch.credentials.loading import load_named
from prefect_azure_batch.credentials.proxies import proxies_for
from prefect_azure_batch.credentials.transport import (
    OnAnswer,
    RepeatLostBlobCalls,
    WholeAnswers,
    ignore,
)


class AzureStorageCredentials(CredentialsBlock):
    """An Azure Storage account: a connection string, or name and endpoint with a key or Entra ID.

    Example:
        Load a stored account, find out whether it can be used, and list its containers:

        ```python
        from blocks import AzureStorageCredentials

        credentials = AzureStorageCredentials.load("BLOCK_NAME")
        credentials.check_connection()
        with credentials.get_client() as client:
            names = [container.name for container in client.list_containers()]
        ```
    """

    # What pydantic would show of a wrong block is its secret.
    model_config = ConfigDict(hide_input_in_errors=True)

    _block_type_name: ClassVar[str | None] = "Azure Storage Credentials"
    _block_type_slug: ClassVar[str | None] = "azure-storage-credentials"
    _description: ClassVar[str | None] = "An Azure Storage account: endpoint, and key or Entra ID."
    _logo_url: ClassVar[Any] = LOGO_URL
    _documentation_url: ClassVar[Any] = "https://learn.microsoft.com/azure/storage/blobs/"

    connection_string: SecretStr = Field(
        default=SecretStr(""),
        title="Connection string",
        description="Connection string with the account's key; then no other field is needed.",
    )
    account_name: str = Field(
        default="", title="Account name", description="Name of the storage account."
    )
    blob_endpoint: str = Field(
        default="",
        title="Blob endpoint",
        description="URL of the blob service; default https://NAME.blob.core.windows.net.",
    )
    key: SecretStr = Field(
        default=SecretStr(""),
        title="Key",
        description="Account key in base64; without it Entra ID signs in.",
    )
    sign_in: EntraSignIn = Field(
        default_factory=EntraSignIn,
        title="Entra ID",
        description="Who signs in where there is no key.",
    )

    @model_validator(mode="after")
    def check(self) -> Self:
        """Refuse parts that could never work, each with its name and what to do."""
        check_one_way(
            connection_string=bool(self.connection_string),
            key=bool(self.key),
            sign_in=self.sign_in.is_given,
        )
        if self.connection_string:
            _check_connection_string(self.connection_string)
            return self
        if not self.account_name:
            raise ValueError("account_name is missing: give it, or a connection_string")
        self.account_name = checked_name("account_name", self.account_name)
        if self.key:
            self.key = checked_key("key", self.key)
        url = self.blob_endpoint or f"https://{self.account_name}.blob.core.windows.net"
        self.blob_endpoint = checked_endpoint("blob_endpoint", url, has_key=bool(self.key))
        return self

    def get_client(self, *, on_answer: OnAnswer | None = None, **_: object) -> BlobServiceClient:
        """Return a new client; close it, or use it in a `with` statement.

        Args:
            on_answer: called with each answer of the service.
        """
        lines = {"transport": WholeAnswers(), "retry_policy": RepeatLostBlobCalls()}
        options = {**lines, **_PIECES, "raw_response_hook": on_answer or ignore}
        options["proxies"] = proxies_for(self._endpoint())
        if self.connection_string:
            text = self.connection_string.get_secret_value()
            return BlobServiceClient.from_connection_string(text, **options)
        client = BlobServiceClient(self.blob_endpoint, self._credential(), **options)
        # Without a key the SDK guesses it from the host: private links and DNS zones mislead it.
        client.account_name = self.account_name
        return client

    def _endpoint(self) -> str:
        if not self.connection_string:
            return self.blob_endpoint
        return _parts_of(self.connection_string).get("blobendpoint", "")

    def _credential(self) -> AzureNamedKeyCredential | TokenCredential:
        if not self.key:
            return self.sign_in.credential(self.blob_endpoint)
        return AzureNamedKeyCredential(self.account_name, self.key.get_secret_value())

    def check_connection(self) -> None:
        """Ask for one container; without a key, also for the key that signs SAS URLs instead.

        Raises:
            ConnectionError: no sign-in, no answer, or one that refuses; it says what to check.
        """
        with self.get_client() as client:
            account = f"Storage account {client.account_name!r} at {client.url}"
            with connection_errors(account):
                next(iter(client.list_containers(results_per_page=1)), None)
                if not (self.connection_string or self.key):
                    now = datetime.now(UTC)
                    client.get_user_delegation_key(now, now + timedelta(hours=1))

    @classmethod
    def from_environment(cls, values: Mapping[str, str] | None = None) -> Self:
        """Build the block from `AZURE_STORAGE_CONNECTION_STRING`, else from the account's parts.

        The parts are `AZURE_STORAGE_ACCOUNT`, `AZURE_STORAGE_BLOB_ENDPOINT`, `AZURE_STORAGE_KEY`.
        Without a key, `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET` sign in.

        Args:
            values: read these instead of the environment and `.env`.

        Raises:
            ValueError: a name is missing, or a value cannot work.
        """
        found = environment.read_environment() if values is None else values
        connection_string = environment.secret(found, environment.STORAGE_CONNECTION_STRING)
        if connection_string:
            return cls(connection_string=connection_string)
        if not found.get(environment.STORAGE_ACCOUNT):
            environment.required(found, environment.STORAGE_CONNECTION_STRING)
        key = environment.secret(found, environment.STORAGE_KEY)
        return cls(
            account_name=found[environment.STORAGE_ACCOUNT],
            blob_endpoint=found.get(environment.STORAGE_ENDPOINT, ""),
            key=key,
            sign_in=environment.sign_in(found) if not key else EntraSignIn(),
        )

    @classmethod
    def load_or_environment(cls, name: str | None) -> Self:
        """Load the block saved as `name`; without a name use the environment and `.env`.

        Raises:
            ValueError: no such block, or a missing or wrong value.
        """
        return cls.from_environment() if name is None else load_named(cls, name)


# Larger pieces would not get through a slow line within the connection timeout (transport.py).
_PIECES: dict[str, Any] = {"max_single_put_size": 1024**2, "max_block_size": 1024**2}


def _parts_of(secret: SecretStr) -> dict[str, str]:
    """Return the parts of a connection string, their names in lower case."""
    pairs = (part.partition("=") for part in secret.get_secret_value().split(";") if part.strip())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _check_connection_string(secret: SecretStr) -> None:
    parts = _parts_of(secret)
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

"""The block of an Azure Batch account; what stands behind the URL is not its business."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from azure.batch import BatchClient
from azure.core.credentials import AzureNamedKeyCredential, TokenCredential
from azure.identity import DefaultAzureCredential
from prefect.blocks.abstract import CredentialsBlock
from pydantic import ConfigDict, Field, SecretStr, model_validator

from blocks import environment
from blocks.checks import checked_endpoint, checked_key, checked_name
from blocks.loading import load_named
from blocks.transport import TIMEOUTS, RepeatEveryMethod


class AzureBatchCredentials(CredentialsBlock):
    """An Azure Batch account: name, endpoint and key; without a key Entra ID is used.

    Example:
        Load a stored account and list its pools:

        ```python
        from blocks import AzureBatchCredentials

        credentials = AzureBatchCredentials.load("BLOCK_NAME")
        with credentials.get_client() as client:
            pools = [pool.id for pool in client.list_pools()]
        ```
    """

    # What pydantic would show of a wrong block is its secret.
    model_config = ConfigDict(hide_input_in_errors=True)

    _block_type_name: ClassVar[str | None] = "Azure Batch Credentials"
    _block_type_slug: ClassVar[str | None] = "azure-batch-credentials"
    _description: ClassVar[str | None] = "An Azure Batch account: endpoint, and key or Entra ID."
    _documentation_url: ClassVar[Any] = "https://learn.microsoft.com/azure/batch/"

    account_name: str = Field(title="Account name", description="Name of the Batch account.")
    endpoint: str = Field(
        title="Endpoint",
        description="URL of the Batch account, such as https://NAME.REGION.batch.azure.com.",
    )
    key: SecretStr | None = Field(
        default=None,
        title="Key",
        description="Account key in base64; without it azure-identity signs in (Entra ID).",
    )

    @model_validator(mode="after")
    def check(self) -> Self:
        """Refuse parts that could never work, each with its name and its mend."""
        self.account_name = checked_name("account_name", self.account_name)
        if self.key is not None:
            self.key = checked_key("key", self.key)
        self.endpoint = checked_endpoint("endpoint", self.endpoint, has_key=self.key is not None)
        return self

    def get_client(self, **_: object) -> BatchClient:
        """Return a new client; close it, or use it in a `with` statement."""
        return BatchClient(
            self.endpoint,
            self._credential(),
            per_call_policies=[RepeatEveryMethod()],
            retry_backoff_factor=0.5,
            **TIMEOUTS,
        )

    def _credential(self) -> AzureNamedKeyCredential | TokenCredential:
        if self.key is None:
            return DefaultAzureCredential()
        return AzureNamedKeyCredential(self.account_name, self.key.get_secret_value())

    @classmethod
    def from_environment(cls, values: Mapping[str, str] | None = None) -> Self:
        """Build the block from `AZURE_BATCH_ACCOUNT`, `..._ENDPOINT` and `..._ACCESS_KEY`.

        Args:
            values: read these instead of the environment and `.env`.

        Raises:
            ValueError: a name is missing, or a value cannot work.
        """
        found = environment.read_environment() if values is None else values
        return cls(
            account_name=environment.required(found, environment.BATCH_ACCOUNT),
            endpoint=environment.required(found, environment.BATCH_ENDPOINT),
            key=environment.secret(found, environment.BATCH_KEY),
        )

    @classmethod
    def load_or_environment(cls, name: str | None) -> Self:
        """Load the block saved as `name`; without a name use the environment and `.env`.

        Raises:
            ValueError: no such block, or a missing or wrong value.
        """
        return cls.from_environment() if name is None else load_named(cls, name)

"""The block of an Azure Batch account; what stands behind the URL is not its business."""

import logging
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from azure.batch import BatchClient
from azure.core.credentials import AzureNamedKeyCredential, TokenCredential
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
from prefect_azure_batch.credentials.clouds import cloud_of
from prefect_azure_batch.credentials.connection import connection_errors
from prefect_azure_batch.credentials.entra import EntraSignIn
from prefect_azure_batch.credentials.loading import load_named
from prefect_azure_batch.credentials.proxies import proxies_for
from prefect_azure_batch.credentials.transport import (
    OnAnswer,
    RepeatEveryMethod,
    RepeatLostCalls,
    WholeAnswers,
    ignore,
)


class AzureBatchCredentials(CredentialsBlock):
    """An Azure Batch account: name, endpoint and key; without a key Entra ID is used.

    Example:
        Load a stored account, find out whether it can be used, and list its pools:

        ```python
        from blocks import AzureBatchCredentials

        credentials = AzureBatchCredentials.load("BLOCK_NAME")
        credentials.check_connection()
        with credentials.get_client() as client:
            pools = [pool.id for pool in client.list_pools()]
        ```
    """

    # What pydantic would show of a wrong block is its secret.
    model_config = ConfigDict(hide_input_in_errors=True)

    _block_type_name: ClassVar[str | None] = "Azure Batch Credentials"
    _block_type_slug: ClassVar[str | None] = "azure-batch-credentials"
    _description: ClassVar[str | None] = "An Azure Batch account: endpoint, and key or Entra ID."
    _logo_url: ClassVar[Any] = LOGO_URL
    _documentation_url: ClassVar[Any] = "https://learn.microsoft.com/azure/batch/"

    account_name: str = Field(title="Account name", description="Name of the Batch account.")
    endpoint: str = Field(
        title="Endpoint",
        description="URL of the Batch account, such as https://NAME.REGION.batch.azure.com.",
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
        self.account_name = checked_name("account_name", self.account_name)
        check_one_way(key=bool(self.key), sign_in=self.sign_in.is_given)
        if self.key:
            self.key = checked_key("key", self.key)
        self.endpoint = checked_endpoint("endpoint", self.endpoint, has_key=bool(self.key))
        return self

    def get_client(self, *, on_answer: OnAnswer | None = None, **_: object) -> BatchClient:
        """Return a new client; close it, or use it in a `with` statement.

        Args:
            on_answer: called with each answer of the service.
        """
        # It writes a traceback for each error without a body; the error itself is raised.
        logging.getLogger("azure.batch._utils.model_base").setLevel(logging.ERROR)
        return BatchClient(
            self.endpoint,
            self._credential(),
            credential_scopes=[cloud_of(self.endpoint).batch_scope],
            per_call_policies=[RepeatEveryMethod()],
            retry_policy=RepeatLostCalls(),
            raw_response_hook=on_answer or ignore,
            transport=WholeAnswers(),
            proxies=proxies_for(self.endpoint),
        )

    def _credential(self) -> AzureNamedKeyCredential | TokenCredential:
        if not self.key:
            return self.sign_in.credential(self.endpoint)
        return AzureNamedKeyCredential(self.account_name, self.key.get_secret_value())

    def check_connection(self) -> None:
        """Ask for one pool, which succeeds only with the right endpoint, account and sign-in.

        Raises:
            ConnectionError: no sign-in, no answer, or one that refuses; it says what to check.
        """
        account = f"Batch account {self.account_name!r} at {self.endpoint}"
        with connection_errors(account), self.get_client() as client:
            next(iter(client.list_pools(max_results=1, select=["id"])), None)

    @classmethod
    def from_environment(cls, values: Mapping[str, str] | None = None) -> Self:
        """Build the block from `AZURE_BATCH_ACCOUNT`, `..._ENDPOINT` and `..._ACCESS_KEY`.

        Without a key, `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET` sign in.

        Args:
            values: read these instead of the environment and `.env`.

        Raises:
            ValueError: a name is missing, or a value cannot work.
        """
        found = environment.read_environment() if values is None else values
        key = environment.secret(found, environment.BATCH_KEY)
        return cls(
            account_name=environment.required(found, environment.BATCH_ACCOUNT),
            endpoint=environment.required(found, environment.BATCH_ENDPOINT),
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

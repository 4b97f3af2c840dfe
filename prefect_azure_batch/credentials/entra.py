"""Signing in with Entra ID, for accounts without a key: the part that both blocks share."""

from typing import Any, Self

from azure.core.credentials import TokenCredential
from azure.identity import (
    ClientSecretCredential,
    DefaultAzureCredential,
    ManagedIdentityCredential,
)
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from prefect_azure_batch.credentials.clouds import cloud_of


class EntraSignIn(BaseModel):
    """Who signs in where there is no key.

    Tenant, client and secret together name a service principal, a client ID alone a managed
    identity. Left empty, azure-identity looks around: variables, the machine's identity, az login.
    """

    # The form shows this title and the text above; what pydantic would show of an error, a secret.
    model_config = ConfigDict(title="Entra ID", hide_input_in_errors=True)

    tenant_id: str = Field(
        default="",
        title="Tenant ID",
        description="Directory of the service principal; only with a client secret.",
    )
    client_id: str = Field(
        default="",
        title="Client ID",
        description="Of the service principal; alone, of a user-assigned managed identity.",
    )
    client_secret: SecretStr = Field(
        default=SecretStr(""), title="Client secret", description="Secret of the service principal."
    )
    authority_host: str = Field(
        default="",
        title="Authority host",
        description="Who issues tokens in a private cloud; for others the endpoint says it.",
    )

    @model_validator(mode="after")
    def check(self) -> Self:
        """Refuse parts that do not belong together, and tokens asked for in plain text."""
        is_principal = bool(self.tenant_id or self.client_secret)
        for field in ("tenant_id", "client_id", "client_secret"):
            if is_principal and not getattr(self, field):
                raise ValueError(
                    f"sign_in.{field} is missing: a service principal has tenant_id, client_id and "
                    "client_secret; a managed identity has client_id alone"
                )
        if self.authority_host.startswith("http:"):
            raise ValueError(f"sign_in.authority_host {self.authority_host!r} is http: use https")
        return self

    @property
    def is_given(self) -> bool:
        """Whether anything says who signs in."""
        return bool(self.client_id or self.authority_host)

    def credential(self, endpoint: str) -> TokenCredential:
        """Return what asks Entra ID for tokens; nothing is asked yet.

        Args:
            endpoint: URL of the service, which shows the cloud.
        """
        options = self._authority(endpoint)
        if self.client_secret:
            return ClientSecretCredential(
                self.tenant_id,
                self.client_id,
                self.client_secret.get_secret_value(),
                **options,
            )
        if self.client_id:
            return ManagedIdentityCredential(client_id=self.client_id)
        return DefaultAzureCredential(**options)

    def _authority(self, endpoint: str) -> dict[str, Any]:
        if self.authority_host:
            # Only the public clouds' Entra ID knows which hosts are genuine: ours it cannot know.
            return {"authority": self.authority_host, "disable_instance_discovery": True}
        authority = cloud_of(endpoint).authority
        return {"authority": authority} if authority else {}

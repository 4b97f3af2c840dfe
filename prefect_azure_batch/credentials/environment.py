"""Account settings from the environment and `.env`, under the names the az command line reads."""

import os
from collections.abc import Mapping

from pydantic import SecretStr

from prefect_azure_batch.credentials.entra import EntraSignIn
from prefect_azure_batch.credentials.env_file import DOT_ENV, read_env_file

BATCH_ACCOUNT = "AZURE_BATCH_ACCOUNT"
BATCH_ENDPOINT = "AZURE_BATCH_ENDPOINT"
BATCH_KEY = "AZURE_BATCH_ACCESS_KEY"
STORAGE_CONNECTION_STRING = "AZURE_STORAGE_CONNECTION_STRING"
STORAGE_ACCOUNT = "AZURE_STORAGE_ACCOUNT"
STORAGE_ENDPOINT = "AZURE_STORAGE_BLOB_ENDPOINT"
STORAGE_KEY = "AZURE_STORAGE_KEY"
TENANT = "AZURE_TENANT_ID"
CLIENT = "AZURE_CLIENT_ID"
CLIENT_SECRET = "AZURE_CLIENT_SECRET"  # noqa: S105 - the name of a variable
AUTHORITY_HOST = "AZURE_AUTHORITY_HOST"


def read_environment() -> dict[str, str]:
    """Return the environment, completed by `.env` of the working directory where it is silent.

    Raises:
        ValueError: `.env` is not text.
    """
    return read_env_file(DOT_ENV) | {name: value for name, value in os.environ.items() if value}


def secret(values: Mapping[str, str], name: str) -> SecretStr:
    """Return one value wrapped against display, empty if it is not set."""
    return SecretStr(values.get(name, ""))


def required(values: Mapping[str, str], name: str) -> str:
    """Return one value.

    Raises:
        ValueError: neither the environment nor `.env` sets it.
    """
    if not values.get(name):
        raise ValueError(
            f"{name} is not set: put it into the environment or into .env, "
            "or name a saved block (batch-map blocks save NAME)"
        )
    return values[name]


def sign_in(values: Mapping[str, str]) -> EntraSignIn:
    """Return who signs in, by the variables of azure-identity, which does not read `.env` itself.

    A tenant without a secret is a certificate or a workload identity: azure-identity finds those.

    Raises:
        ValueError: a service principal is not complete.
    """
    authority_host = values.get(AUTHORITY_HOST, "")
    if values.get(TENANT) and not values.get(CLIENT_SECRET):
        return EntraSignIn(authority_host=authority_host)
    return EntraSignIn(
        tenant_id=values.get(TENANT, ""),
        client_id=values.get(CLIENT, ""),
        client_secret=secret(values, CLIENT_SECRET),
        authority_host=authority_host,
    )

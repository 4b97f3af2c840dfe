"""Account settings from the environment and `.env`, under the names the az command line reads."""

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values
from pydantic import SecretStr

BATCH_ACCOUNT = "AZURE_BATCH_ACCOUNT"
BATCH_ENDPOINT = "AZURE_BATCH_ENDPOINT"
BATCH_KEY = "AZURE_BATCH_ACCESS_KEY"
STORAGE_CONNECTION_STRING = "AZURE_STORAGE_CONNECTION_STRING"
STORAGE_ACCOUNT = "AZURE_STORAGE_ACCOUNT"
STORAGE_ENDPOINT = "AZURE_STORAGE_BLOB_ENDPOINT"
STORAGE_KEY = "AZURE_STORAGE_KEY"


def read_environment() -> dict[str, str]:
    """Return the environment, completed by `.env` of the working directory where it is silent."""
    return read_env_file(Path(".env")) | {
        name: value for name, value in os.environ.items() if value
    }


def read_env_file(path: Path) -> dict[str, str]:
    """Return the names that a file of `NAME=value` or `export NAME=value` lines gives a value."""
    return {name: value for name, value in dotenv_values(path).items() if value}


def secret(values: Mapping[str, str], name: str) -> SecretStr | None:
    """Return one value wrapped against display, None if it is not set."""
    return SecretStr(values[name]) if values.get(name) else None


def required(values: Mapping[str, str], name: str) -> str:
    """Return one value.

    Raises:
        ValueError: neither the environment nor `.env` sets it.
    """
    if not values.get(name):
        raise ValueError(
            f"{name} is not set: put it into the environment or into .env, "
            "or name a saved block (python -m blocks save NAME)"
        )
    return values[name]

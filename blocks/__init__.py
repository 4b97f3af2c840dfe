"""Prefect blocks: endpoint, secret and `get_client()` of each of the two services, nothing else."""

from typing import TYPE_CHECKING

import prefect_azure_batch

if TYPE_CHECKING:
    from prefect_azure_batch import AzureBatchCredentials, AzureStorageCredentials

__all__ = ["AzureBatchCredentials", "AzureStorageCredentials"]


def __getattr__(name: str) -> object:
    """Import a block when it is used: the command looks at `.env` before Prefect does."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(prefect_azure_batch, name)


def __dir__() -> list[str]:
    """Return the blocks, for `prefect block register --module blocks`."""
    return __all__

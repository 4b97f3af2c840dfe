"""Prefect blocks: endpoint, secret and `get_client()` of each of the two services, nothing else."""

from blocks.batch import AzureBatchCredentials
from blocks.storage import AzureStorageCredentials

__all__ = ["AzureBatchCredentials", "AzureStorageCredentials"]

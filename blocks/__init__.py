"""Prefect blocks: endpoint, secret and `get_client()` of each of the two services, nothing else."""

from prefect_azure_batch.credentials.batch import AzureBatchCredentials
from prefect_azure_batch.credentials.storage import AzureStorageCredentials

__all__ = ["AzureBatchCredentials", "AzureStorageCredentials"]

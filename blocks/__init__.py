"""Prefect blocks: endpoint, secret and `get_client()` of each of the two services, nothing else."""

from prefect_azure_batch import AzureBatchCredentials, AzureStorageCredentials

__all__ = ["AzureBatchCredentials", "AzureStorageCredentials"]

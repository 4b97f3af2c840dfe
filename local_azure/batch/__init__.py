"""The Azure Batch service on the laptop: its REST API over HTTP, its tasks as real processes.

Knows nothing of Prefect, of the flows or of the azure-batch package: it speaks the wire only.
"""

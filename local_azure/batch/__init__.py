"""The Azure Batch service on the laptop: its REST API over HTTP, its tasks as real processes.

Knows nothing of Prefect, of the flows or of the azure-batch package: it speaks the wire only. Each
folder says in its `__init__` what it is; they import downwards only (docs/architecture.md):

    server > operations, engine > machine, autoscale > calls > state > controls, wire
"""

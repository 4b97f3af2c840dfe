"""The Azure Batch service on the laptop: its REST API over HTTP, its tasks as real processes.

Knows nothing of Prefect, of the flows or of the azure-batch package: it speaks the wire only.
Where to find what:

- the wire: `server`, `routes`, `auth`, `tokens`, `tls`, `bodies`, `calls`, `schemas`, `odata`,
  `wire`, `errors`, `failures`
- the operations, by noun: `pools`, `pool_scaling`, `nodes`, `node_operations`, `node_counts`,
  `jobs`, `job_bodies`, `preparation_status`, `tasks`, `files`, `images`
- the memory: `store`, `records`, `states`; on disk `journal`, `codec`, `recovery`, `survivors`
- the engine, which follows the store: `scheduler` wakes `allocator`, `node_keeper`, `start_tasks`,
  `autoscaler` (`autoscale`, `formula`, `history`), `job_keeper`, `auto_pools`, `preparation`,
  `dispatcher` (`placement`, `dependencies`, `exit_conditions`, `runs`, `works`)
- processes and files: `runner`, `transfer`, `outputs`, `environment`, `folders`
- what tests bend: `clock`, `delays`, `faults`, `failing_runner`, `outages`, `control`, `idleness`,
  `meter`
"""

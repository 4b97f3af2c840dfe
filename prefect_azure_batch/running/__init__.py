"""What works on Azure Batch: the pool, the job, its batch tasks, and the watch over them."""

"""Plain data: the run, its inputs and batch tasks, its result, and what a workload is."""

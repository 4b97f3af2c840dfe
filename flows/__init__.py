"""What runs in the flow's process; the programs that run on the nodes are in `tasks_node/`."""

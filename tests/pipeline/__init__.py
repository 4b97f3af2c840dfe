"""The flow, its clean-up and its deployments, against the services of the laptop."""

"""The two accounts as Prefect blocks, and what reads them from the environment."""

"""The Prefect tasks, one file per noun; each is safe to repeat and returns no secret."""

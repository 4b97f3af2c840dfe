"""The two services as the engine calls them: clients, errors, retries, SAS URLs, requests."""

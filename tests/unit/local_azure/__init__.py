"""Unit tests of local_azure.batch: no socket and no process, in the folders of the code."""

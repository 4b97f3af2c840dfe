"""A list of inputs that is too long for a parameter: where its file is, and what must be in it."""

from pydantic import Field

from prefect_azure_batch.settings import Settings


class ListFile(Settings):
    """A long list of inputs in a file, as `list_file` writes it."""

    path: str = Field(
        title="Path", description="Of the file: names of inputs, each with a NUL after it."
    )
    count: int = Field(title="Count", ge=0, description="How many names there are.")
    sha256: str = Field(
        title="SHA-256", pattern="^[0-9a-f]{64}$", description="Digest of the file's content."
    )

    def __str__(self) -> str:
        """Say it in short, as in the name of a flow run."""
        return f"{self.count:,} inputs"

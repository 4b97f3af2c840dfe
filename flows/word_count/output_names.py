"""What the outputs of the word counter are called: their suffixes say that they are plain text."""

import os

from prefect_azure_batch import output_name_of

# As the node program has them.
COMPRESSED = (
    *(".gz", ".gzip", ".tgz", ".z", ".bz2", ".tbz2", ".xz", ".txz", ".lzma"),
    *(".zst", ".zstd", ".lz4", ".lz", ".br", ".zip", ".7z", ".rar"),
)


def words_name_of(input_name: str) -> str:
    """Return the name of an input's output: of `b.txt` `b_OUTPUT.txt`, of `b.gz` `b.gz_OUTPUT.txt`.

    `b_OUTPUT.txt` for both would be one file for two inputs.
    """
    extension = os.path.splitext(input_name)[1]  # noqa: PTH122 - as programs on nodes cut
    if extension.lower() in COMPRESSED:
        return f"{input_name}_OUTPUT.txt"
    return output_name_of(input_name)

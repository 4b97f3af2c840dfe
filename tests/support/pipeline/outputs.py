"""Outputs, as nodes leave them in a container."""

import hashlib

from azure.storage.blob import ContainerClient, ContentSettings


def put(container: ContainerClient, name: str, content: bytes, md5: bytes | None = None) -> None:
    """Put a blob with its MD5, or with another."""
    digest = md5 or hashlib.md5(content, usedforsecurity=False).digest()
    blob = container.get_blob_client(name)
    blob.upload_blob(content, overwrite=True)
    blob.set_http_headers(ContentSettings(content_md5=bytearray(digest)))

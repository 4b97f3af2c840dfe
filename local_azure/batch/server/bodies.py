"""Request bodies: read whole, but never more than a limit of them into memory."""

import json
from typing import Any

from starlette.requests import Request

from local_azure.batch.wire.errors import BatchError, invalid_body

MAX_BYTES = 4 * 1024 * 1024


async def read(request: Request) -> bytes:
    """Read the body of a request.

    A longer one is read to its end and dropped: a client that still sends reads no answer.

    Raises:
        BatchError: 413, it has more than MAX_BYTES.
    """
    kept, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= MAX_BYTES:
            kept += chunk
    if size > MAX_BYTES:
        text = "The request body is too large and exceeds the maximum permissible limit."
        raise BatchError(
            413, "RequestBodyTooLarge", text, [("Reason", f"{size} bytes, {MAX_BYTES} at most")]
        )
    return bytes(kept)


def parse(raw: bytes) -> Any:
    """Read a body as JSON; None if there is none.

    Raises:
        BatchError: 400, it is not JSON.
    """
    if not raw:
        return None
    try:
        return json.loads(raw)
    # Deeply nested JSON ends the recursion of its parser.
    except (ValueError, RecursionError) as error:
        raise invalid_body("it is not JSON") from error

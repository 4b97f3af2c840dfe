"""Request bodies: read whole, but never more than a limit of them into memory."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request

from local_azure.batch.wire.errors import BatchError, invalid_body

MAX_BYTES = 4 * 1024 * 1024
_SLOWEST_BYTES_PER_S = 500


async def read(request: Request) -> bytes:
    """Read the body of a request.

    A longer one is read to its end and dropped: a client that still sends reads no answer.

    Raises:
        BatchError: 413, it has more than MAX_BYTES; 408, nothing of it came for the time limit,
            or it came too slowly for four times as long.
    """
    kept, size = bytearray(), 0
    async for chunk in _timely(request):
        size += len(chunk)
        if size <= MAX_BYTES:
            kept += chunk
    if size > MAX_BYTES:
        text = "The request body is too large and exceeds the maximum permissible limit."
        raise BatchError(
            413, "RequestBodyTooLarge", text, [("Reason", f"{size} bytes, {MAX_BYTES} at most")]
        )
    return bytes(kept)


async def _timely(request: Request) -> AsyncIterator[bytes]:
    silence_s = request.state.request_timeout_s
    chunks, size, begun = aiter(request.stream()), 0, time.monotonic()
    while True:
        slowest_s = 4 * silence_s + size / _SLOWEST_BYTES_PER_S
        left_s = min(silence_s, begun + slowest_s - time.monotonic())
        try:
            async with asyncio.timeout(left_s):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            reason = f"{size} bytes of it came in {time.monotonic() - begun:.0f} s"
            text = f"The request body did not come in time: {reason}."
            raise BatchError(408, "OperationTimedOut", text, [("Reason", reason)]) from None
        size += len(chunk)
        yield chunk


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

"""Answers that are the content of a file."""

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from local_azure.batch.calls.call import Reply
from local_azure.batch.machine.background import Threads
from local_azure.batch.server.connections import NoAnswer

_BLOCK = 1 << 18
_threads = Threads(16)


class FileAnswer(Response):
    """Sends the open file of a reply, read in threads, and closes it."""

    def __init__(self, reply: Reply, headers: dict[str, str]) -> None:
        super().__init__(status_code=reply.status, headers=headers)
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send as many bytes as were promised; a task may still write to the file."""
        file, left = self._reply.file, self._reply.length
        if file is None:
            raise RuntimeError("there is no file to send")
        with file:
            start = {"type": "http.response.start", "status": self.status_code}
            await send(start | {"headers": self.raw_headers})
            while left > 0 and not scope["state"]["transport"].is_closing():
                size = min(_BLOCK, left)
                block = await _threads.run(lambda size=size: file.read(size))  # type: ignore[misc]
                if not block:
                    # It has become shorter: only a broken connection says so.
                    await NoAnswer()(scope, receive, send)
                    return
                left -= len(block)
                body = {"type": "http.response.body", "body": block, "more_body": True}
                await send(body)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

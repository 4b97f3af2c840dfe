"""The end of a node's file, by the real SDK: all of it is never held in memory."""

import pytest
from azure.batch import BatchClient
from azure.core.credentials import AzureNamedKeyCredential

from prefect_azure_batch.messages import TAIL_BYTES
from prefect_azure_batch.running.pool_watch import end_of_file
from tests.support.http_server import QuietHandler, serving

CONTENT = b"a" * TAIL_BYTES + b"the end"


class _File(QuietHandler):
    """Has one file, of which it says the size, and gives ranges."""

    says_size = True

    def do_HEAD(self) -> None:  # noqa: N802 - the name that http.server asks for
        """Answer with its properties."""
        self.send_response(200)
        if self.says_size:
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()

    def do_GET(self) -> None:  # noqa: N802 - as above
        """Answer with a range of it, or all."""
        first = self.headers.get("ocp-range", "bytes=0-").removeprefix("bytes=").split("-")[0]
        self.answer(CONTENT[int(first) :])


class _FileOfUnknownSize(_File):
    """Leaves out what a service may leave out."""

    says_size = False


@pytest.mark.parametrize("handler", [_File, _FileOfUnknownSize])
def test_end_of_a_file(handler: type[_File]) -> None:
    """It is found whether the service says the size or not."""
    key = AzureNamedKeyCredential("account", "a2V5")
    with serving(handler) as url, BatchClient(url, key) as batch:
        found = end_of_file(batch, "pool", "node", "startup/stderr.txt")

    assert found == CONTENT[-TAIL_BYTES:]

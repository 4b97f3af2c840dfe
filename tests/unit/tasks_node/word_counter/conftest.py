"""Blob Storage for tests of the word counter, on a free loopback port for one test."""

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest

from tests.support.blob_servers import (
    ReadableBlob,
    WritableContainer,
    get_handler_for,
    put_handler_for,
)


@pytest.fixture
def server() -> Iterator[ReadableBlob]:
    """Serve on a free loopback port for one test."""
    server = ReadableBlob(0)
    with ThreadingHTTPServer(("127.0.0.1", 0), get_handler_for(server)) as http:
        server.port = http.server_port
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield server
        http.shutdown()
        thread.join()


@pytest.fixture
def service() -> Iterator[WritableContainer]:
    """Serve on a free loopback port for one test."""
    service = WritableContainer(0)
    with ThreadingHTTPServer(("127.0.0.1", 0), put_handler_for(service)) as server:
        service.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield service
        server.shutdown()
        thread.join()

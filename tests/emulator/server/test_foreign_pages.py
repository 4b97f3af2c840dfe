"""A page in a browser gets nothing from either service, by DNS rebinding or directly."""

import http.client
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.core.rest import HttpRequest
from azure.storage.blob import BlobServiceClient

from local_azure.azurite import ACCOUNT_KEY
from local_azure.batch.server.tls import certificate_in
from local_azure.stack import LocalAzure
from tests.support.emulator.emulators import Emulator, client_of, started
from tests.support.emulator.raw_http import VERSION, ask

OWN = ["localhost", "LOCALHOST:80", "127.0.0.1", "127.8.9.10:1", "[::1]:80", "app.localhost"]
ALLOWED = [
    "azure-batch",
    "Azure-Batch:8080",
    "azure-batch.",
    "172.17.0.1",
    "host.docker.internal:1",
]
FOREIGN = [
    *("example.org", "example.org:80", "127.0.0.1.example.org", "localhost.example.org"),
    *("notlocalhost", "a@127.0.0.1", "127.0.0.1@a", "10.0.0.1", "[::1", "[::2]", "127.0.0.1:x"),
    *("azure-batch.example.org", "x.azure-batch", "169.254.169.254", "localhost,example.org"),
]


def options() -> Iterator[str]:
    """Give the options that allow further names."""
    for name in ("azure-batch", "172.17.0.1", "host.docker.internal"):
        yield from ("--allow-host", name)


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator that has further names, and control endpoints."""
    with started(tmp_path_factory.mktemp("named"), "--control", *options()) as running:
        yield running


@pytest.fixture(scope="module")
def blob_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The account of an Azurite that has further names."""
    names = ("azure-batch", "172.17.0.1", "host.docker.internal")
    with LocalAzure(tmp_path_factory.mktemp("blobs"), allow_hosts=names) as stack:
        yield stack.blob_url


def status_of(url: str, method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """Send an unsigned request with headers of a browser; return status and body."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


@pytest.mark.parametrize("host", [*OWN, *ALLOWED])
def test_own_names_are_answered(named: Emulator, host: str) -> None:
    """Names of loopback, and names that were allowed, with any port and in any case."""
    assert ask(named, "GET", f"/pools?{VERSION}", host=host).status == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_foreign_names_are_refused(named: Emulator, host: str) -> None:
    """Any other name is 403, though the request is signed."""
    answer = ask(named, "GET", f"/pools?{VERSION}", host=host)

    assert (answer.status, answer.json["code"]) == (403, "HostNotAllowedByEmulator")
    assert host in answer.json["message"]["value"]
    assert "--allow-host" in answer.json["message"]["value"]


def test_names_are_not_allowed_unless_asked_for(emulator: Emulator) -> None:
    """Without the option the name of a container is foreign."""
    assert ask(emulator, "GET", f"/pools?{VERSION}", host="azure-batch").status == 403


@pytest.mark.parametrize("origin", ["http://example.org", "http://localhost", "null", ""])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
def test_origins_are_refused(named: Emulator, method: str, origin: str) -> None:
    """A request with an Origin is 403, whatever site and method."""
    headers = {"Host": "localhost", "Origin": origin}

    for path in (f"/pools?{VERSION}", "/_emulator/reset", "/nonsense"):
        assert status_of(named.url, method, path, headers)[0] == 403


@pytest.mark.parametrize("host", FOREIGN)
def test_control_endpoints_have_the_same_rule(named: Emulator, host: str) -> None:
    """They answer to the same names."""
    assert status_of(named.url, "GET", "/_emulator/health", {"Host": host})[0] == 403
    assert status_of(named.url, "GET", "/_emulator/health", {"Host": "azure-batch"})[0] == 200


@pytest.mark.parametrize("headers", [{"Host": host} for host in FOREIGN] + [{"Origin": "null"}])
def test_blobs_are_not_for_pages(blob_url: str, headers: dict[str, str]) -> None:
    """Azurite, whose key is public too, has the same rule in front of it."""
    status, body = status_of(blob_url, "PUT", "/devstoreaccount1/x?restype=container", headers)

    assert (status, b"Server failed to authenticate" in body) == (403, False)


class _Renamed(SansIOHTTPPolicy[HttpRequest, object]):
    """Sends requests as a client does that reaches a service by another name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def on_request(self, request: PipelineRequest[HttpRequest]) -> None:
        """Set the Host."""
        request.http_request.headers["Host"] = self._name


@pytest.mark.parametrize("name", ["azure-batch:10000", "host.docker.internal", "172.17.0.1:10000"])
def test_the_storage_sdk_by_another_name(blob_url: str, name: str) -> None:
    """The SDK reads and writes blobs under a name that was allowed."""
    policy = _Renamed(name)
    with BlobServiceClient(blob_url, ACCOUNT_KEY, per_call_policies=[policy]) as client:
        container = client.create_container(f"by-{name.partition(':')[0].replace('.', '-')}")
        container.upload_blob("x", b"content")

        assert container.download_blob("x").readall() == b"content"


@pytest.mark.parametrize("name", ["azure-batch", "host.docker.internal:8080"])
def test_the_batch_sdk_by_another_name(named: Emulator, name: str) -> None:
    """The SDK is served under a name that was allowed, and gets URLs with that name."""
    with client_of(named, per_call_policies=[_Renamed(name)]) as client:
        assert list(client.list_pools()) == []
        assert next(iter(client.list_supported_images()))


def test_a_certificate_has_all_names(tmp_path: Path) -> None:
    """Clients that reach it by another name can trust it; it is made anew for a new name."""
    first = certificate_in(tmp_path).chain.read_bytes()
    again = certificate_in(tmp_path).chain.read_bytes()
    named = certificate_in(tmp_path, ("azure-batch", "172.17.0.1")).chain.read_bytes()

    assert first == again
    assert first != named


def test_tls_by_another_name(tmp_path: Path) -> None:
    """A client verifies the certificate for a name that was allowed."""
    tls = ("--tls", str(tmp_path / "tls"), "--allow-host", "azure-batch")
    with started(tmp_path, *tls) as running:
        address = urlsplit(running.url)
        assert _verified(tmp_path / "tls" / "ca.pem", str(address.hostname), int(address.port or 0))


def _verified(authority: Path, host: str, port: int) -> bool:
    context = ssl.create_default_context(cafile=authority)
    with (
        socket.create_connection((host, port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="azure-batch") as secure,
    ):
        return secure.version() is not None

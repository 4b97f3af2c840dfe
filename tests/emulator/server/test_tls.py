"""The TLS listener: clients that trust its authority, and tokens in place of keys."""

import asyncio
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
from azure.batch import BatchClient
from azure.batch.aio import BatchClient as AsyncBatchClient
from azure.core.credentials import AccessToken, AzureNamedKeyCredential
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from local_azure.batch.controls.faults import Kind, Rule
from local_azure.batch.server.tls import certificate_in
from local_azure.client import Control
from local_azure.stack import LocalAzure
from tests.support.emulator.builders import a_job, new_id
from tests.support.emulator.emulators import ACCOUNT, KEY, Emulator, started
from tests.support.tokens import token


class Identity:
    """A credential whose tokens are those of a test."""

    def __init__(self, **claims: Any) -> None:
        self._claims = claims
        self.scopes: tuple[str, ...] = ()

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """Return a token, and keep for what it was asked."""
        self.scopes = scopes
        return AccessToken(token(**self._claims), 2**31)


class AsyncIdentity:
    """The same for the asynchronous client."""

    async def get_token(self, *_scopes: str, **_: Any) -> AccessToken:
        """Return a token."""
        return Identity().get_token()

    async def close(self) -> None:
        """Have nothing to close."""

    async def __aenter__(self) -> Self:
        """Have nothing to open."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Have nothing to close."""


async def _count_images(url: str, bundle: Path) -> int:
    # aiohttp looks for SSL_CERT_FILE only when it is imported.
    trust = {"connection_verify": str(bundle)}
    async with AsyncBatchClient(url, AsyncIdentity(), **trust) as client:
        return len([image async for image in client.list_supported_images()])


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator that listens with TLS."""
    folder = tmp_path_factory.mktemp("secure")
    with started(folder, "--control", "--tls", str(folder / "tls")) as running:
        yield running


@pytest.fixture
def bundle(secure: Emulator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What its clients trust, in the environment where they look for it."""
    path = secure.nodes_dir.parent / "tls" / "bundle.pem"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


@pytest.mark.usefixtures("bundle")
def test_a_token_in_place_of_a_key(secure: Emulator) -> None:
    """The SDK asks for a token for Batch, and the emulator takes it, for writes too."""
    identity = Identity()
    with BatchClient(secure.url, identity) as client:
        job_id = a_job(client, new_id("pool"))

        assert [job.id for job in client.list_jobs()] == [job_id]
    assert identity.scopes == ("https://batch.core.windows.net//.default",)


def test_a_token_of_the_asynchronous_client(secure: Emulator, bundle: Path) -> None:
    """It is taken as well."""
    assert asyncio.run(_count_images(secure.url, bundle)) > 0


@pytest.mark.usefixtures("bundle")
@pytest.mark.parametrize("claims", [{"aud": "https://storage.azure.com/"}, {"exp": 1.0}])
def test_tokens_of_others(secure: Emulator, claims: dict[str, Any]) -> None:
    """A token for another service, or one that has expired, is a 401."""
    with (
        BatchClient(secure.url, Identity(**claims)) as client,
        pytest.raises(ClientAuthenticationError),
    ):
        list(client.list_jobs())


@pytest.mark.usefixtures("bundle")
def test_keys_go_on_to_work(secure: Emulator) -> None:
    """A signature is as good over TLS."""
    with BatchClient(secure.url, AzureNamedKeyCredential(ACCOUNT, KEY)) as client:
        assert next(iter(client.list_supported_images()))


def test_strangers_do_not_trust_it(secure: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its authority a client does not talk to it."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with (
        BatchClient(secure.url, Identity(), retry_total=0) as client,
        pytest.raises(ServiceRequestError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        list(client.list_jobs())


def test_connections_break_under_tls_too(secure: Emulator, bundle: Path) -> None:
    """A fault resets an encrypted connection like any other."""
    control = Control(secure.url, ca_file=bundle)
    control.add_fault(Rule(kind=Kind.RESET, first=1))

    with BatchClient(secure.url, Identity(), retry_backoff_factor=0) as client:
        assert next(iter(client.list_supported_images()))
    control.reset()


def test_its_log_is_empty(secure: Emulator) -> None:
    """Nothing of this was an error of the emulator."""
    assert secure.log.read_text() == ""


def test_a_certificate_is_kept(tmp_path: Path) -> None:
    """A restart on the same folder has the same authority."""
    first = certificate_in(tmp_path).authority.read_bytes()

    assert certificate_in(tmp_path).authority.read_bytes() == first


def test_the_key_is_secret(tmp_path: Path) -> None:
    """Only its owner can read it; the authority has none on disk."""
    files = certificate_in(tmp_path)

    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.glob("*.key")] == ["tls.key"]


def test_a_strict_check(secure: Emulator, bundle: Path) -> None:
    """OpenSSL finds nothing amiss, however closely it looks."""
    context = ssl.create_default_context(cafile=bundle.with_name("ca.pem"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    address = urlsplit(secure.url)
    with (
        socket.create_connection((str(address.hostname), int(address.port or 0))) as plain,
        context.wrap_socket(plain, server_hostname=address.hostname) as encrypted,
    ):
        assert encrypted.getpeercert()


def test_the_bundle_holds_what_the_machine_trusts(tmp_path: Path) -> None:
    """Clients that use it go on to reach everybody else."""
    usual = ssl.create_default_context().cert_store_stats()["x509_ca"]

    context = ssl.create_default_context(cafile=str(certificate_in(tmp_path).bundle))

    assert context.cert_store_stats()["x509_ca"] > usual


def test_the_stack_says_whom_to_trust() -> None:
    """Its environment names the bundle for clients of both kinds, and they need no more."""
    with LocalAzure(tls=True) as stack, pytest.MonkeyPatch.context() as patch:
        for name, value in stack.environment.items():
            patch.setenv(name, value)
        with BatchClient(stack.environment["AZURE_BATCH_ENDPOINT"], Identity()) as client:
            assert next(iter(client.list_supported_images()))
        assert stack.environment["SSL_CERT_FILE"] == stack.environment["REQUESTS_CA_BUNDLE"]


def test_up_says_whom_to_trust(tmp_path: Path) -> None:
    """`up --tls --control` prints the bundle, and the control endpoints answer with it."""
    command = [sys.executable, "-m", "local_azure", "up", "--tls", "--control"]
    with subprocess.Popen(
        [*command, "--data-dir", tmp_path / "data"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            words = process.stdout.readline().split()
            ready = dict(word.split("=", 1) for word in words if "=" in word)
            now = Control(ready["batch"], ca_file=Path(ready["ca"])).now()
        finally:
            process.terminate()

    assert (ready["batch"][:8], bool(now)) == ("https://", True)
    assert Path(ready["ca"]) == tmp_path / "data/tls/bundle.pem"

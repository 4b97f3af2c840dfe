"""Accounts without a key, end to end: Entra ID's answers, TLS, both emulators; no SAS is read.

(Azurite refuses user-delegation SAS of this SDK's version, so their signature is computed here.)
"""

import base64
import hashlib
import hmac
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from azure.storage.blob import BlobServiceClient
from pydantic import SecretStr

from blocks import AzureBatchCredentials, AzureStorageCredentials
from local_azure import azurite
from local_azure.azurite import ACCOUNT_NAME, find_node
from local_azure.batch.server.tls import Certificate, certificate_in
from prefect_azure_batch.credentials.entra import EntraSignIn
from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.model.run import Run, new_run
from prefect_azure_batch.model.tasks import BlobPlace
from prefect_azure_batch.service.sas import CLOCK_SKEW, read_url, write_url
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings
from tests.support.emulator.emulators import ACCOUNT, started
from tests.support.pipeline.entra import CLIENT, OBJECT, SECRET, TENANT, Entra
from tests.support.processes import wait_until

BATCH_RESOURCE = "https://batch.core.windows.net/"
STORAGE_RESOURCE = "https://storage.azure.com"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """The certificate of all three servers."""
    return certificate_in(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def batch_url(certificate: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The Batch emulator, with TLS."""
    folder = tmp_path_factory.mktemp("batch")
    with started(folder, "--tls", str(certificate.chain.parent)) as emulator:
        yield emulator.url


@pytest.fixture(scope="module")
def blob_url(certificate: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Azurite, with TLS and tokens."""
    folder = tmp_path_factory.mktemp("azurite")
    log = folder / "log.txt"
    options = ("--blobHost=127.0.0.1", "--blobPort=0", "--silent", "--skipApiVersionCheck")
    tls = ("--oauth=basic", f"--cert={certificate.chain}", f"--key={certificate.key}")
    command = [str(find_node()), str(azurite.entry()), *options, *tls, "--disableTelemetry"]
    with (
        log.open("wb") as output,
        subprocess.Popen([*command, f"--location={folder}"], stdout=output) as process,
    ):
        try:
            wait_until(lambda: "listens on https" in log.read_text(), timeout_s=60)
            url = next(word for word in log.read_text().split() if word.startswith("https://"))
            yield f"{url}/{ACCOUNT_NAME}"
        finally:
            process.terminate()


@pytest.fixture
def entra(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Entra]:
    """Entra ID, trusted by every client, and no sign-in of the machine's own."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.bundle))
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    with Entra(certificate) as running:
        yield running


@pytest.fixture
def identity(entra: Entra, monkeypatch: pytest.MonkeyPatch) -> Entra:
    """A machine that has managed identities, as App Service offers them."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{entra.url}/identity")
    monkeypatch.setenv("IDENTITY_HEADER", "header")
    return entra


def principal(entra: Entra, secret: str = SECRET) -> EntraSignIn:
    """Return the sign-in of a service principal."""
    return EntraSignIn(
        tenant_id=TENANT,
        client_id=CLIENT,
        client_secret=SecretStr(secret),
        authority_host=entra.url,
    )


def batch_block(url: str, sign_in: EntraSignIn) -> AzureBatchCredentials:
    """Return the block of the Batch emulator."""
    return AzureBatchCredentials(account_name=ACCOUNT, endpoint=url, sign_in=sign_in)


def storage_block(url: str, sign_in: EntraSignIn) -> AzureStorageCredentials:
    """Return the block of Azurite."""
    return AzureStorageCredentials(account_name=ACCOUNT_NAME, blob_endpoint=url, sign_in=sign_in)


@pytest.fixture
def blobs(blob_url: str, entra: Entra) -> Iterator[BlobServiceClient]:
    """Azurite's client of a service principal."""
    with storage_block(blob_url, principal(entra)).get_client() as client:
        yield client


def test_service_principal_on_batch(batch_url: str, entra: Entra) -> None:
    """Its secret becomes a token for Batch, and Batch takes it."""
    batch_block(batch_url, principal(entra)).check_connection()

    assert entra.asked == [BATCH_RESOURCE]


def test_service_principal_on_storage(blob_url: str, entra: Entra) -> None:
    """Its secret becomes a token for Storage, which lists containers and issues a signing key."""
    storage_block(blob_url, principal(entra)).check_connection()

    assert entra.asked == [STORAGE_RESOURCE]


@pytest.mark.parametrize("client_id", [CLIENT, ""])
def test_managed_identity(batch_url: str, blob_url: str, identity: Entra, client_id: str) -> None:
    """A client ID names the identity; without one azure-identity finds the machine's."""
    sign_in = EntraSignIn(client_id=client_id)

    batch_block(batch_url, sign_in).check_connection()
    storage_block(blob_url, sign_in).check_connection()

    assert [item.rstrip("/") for item in identity.asked] == [
        BATCH_RESOURCE.rstrip("/"),
        STORAGE_RESOURCE,
    ]


def test_wrong_client_secret(batch_url: str, entra: Entra) -> None:
    """Entra's reason is reported, with the field to look at, and the secret is not."""
    block = batch_block(batch_url, principal(entra, "hush-hush"))

    with pytest.raises(ConnectionError, match=r"Invalid client secret.*sign_in") as raised:
        block.check_connection()

    assert "hush" not in str(raised.value)


def test_unknown_identity(batch_url: str, identity: Entra) -> None:
    """An identity that the machine does not have is reported as one."""
    block = batch_block(batch_url, EntraSignIn(client_id=identity.url))

    with pytest.raises(ConnectionError, match=r"gave no token .*identity not found"):
        block.check_connection()


def test_accounts_of_the_environment(
    batch_url: str, blob_url: str, entra: Entra, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`python -m blocks check` signs in with the principal that `.env` names."""
    values = {
        "AZURE_BATCH_ACCOUNT": ACCOUNT,
        "AZURE_BATCH_ENDPOINT": batch_url,
        "AZURE_STORAGE_ACCOUNT": ACCOUNT_NAME,
        "AZURE_STORAGE_BLOB_ENDPOINT": blob_url,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": CLIENT,
        "AZURE_CLIENT_SECRET": SECRET,
        "AZURE_AUTHORITY_HOST": entra.url,
    }
    (tmp_path / ".env").write_text("".join(f"{name}={text}\n" for name, text in values.items()))
    for name in (*values, "AZURE_BATCH_ACCESS_KEY", "AZURE_STORAGE_CONNECTION_STRING"):
        monkeypatch.delenv(name, raising=False)

    done = subprocess.run(
        [sys.executable, "-m", "blocks", "check"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n")[:2] == [
        "ok azure-batch-credentials/environment",
        "ok azure-storage-credentials/environment",
    ]


def a_run(job: JobSettings | None = None) -> Run:
    """Return a run that begins now."""
    return new_run(UUID(int=1), 1, job or JobSettings(), CleanUpPolicy())


def expected_signature(query: dict[str, str], resource: str, key: str) -> str:
    """Return the signature over what the REST documentation lists, in its order."""
    lines = [
        *(query[name] for name in ("sp", "st", "se")),
        f"/blob/{ACCOUNT_NAME}/{resource}",
        *(query[name] for name in ("skoid", "sktid", "skt", "ske", "sks", "skv")),
        *("", "", ""),  # authorized and unauthorized object, correlation id
        *("", ""),  # tenant and object of a delegated user
        "",  # IP addresses
        *(query[name] for name in ("spr", "sv", "sr")),
        *("", ""),  # snapshot, encryption scope
        *("", ""),  # headers and query of the request
        *("", "", "", "", ""),  # five response headers
    ]
    digest = hmac.new(base64.b64decode(key), "\n".join(lines).encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


@pytest.mark.parametrize("is_container", [False, True])
def test_signature_without_account_key(blobs: BlobServiceClient, *, is_container: bool) -> None:
    """A SAS URL is signed with the service's user delegation key, over the documented string."""
    run = a_run()
    place = BlobPlace(run.input_container, "a text.txt")
    url = write_url(blobs, run) if is_container else read_url(blobs, run, place)
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    resource = run.output_container if is_container else f"{place.container}/{place.name}"

    key = _key_of(blobs, query)

    assert query["sig"] == expected_signature(query, resource, key)
    assert (query["skoid"], query["sktid"]) == (OBJECT, TENANT)
    assert (query["sr"], query["sp"]) == (("c", "cw") if is_container else ("b", "r"))
    assert query["se"] == f"{run.deadline + CLOCK_SKEW:%Y-%m-%dT%H:%M:%SZ}"


def _key_of(blobs: BlobServiceClient, query: dict[str, str]) -> str:
    """Ask Azurite again for the key of a SAS URL: for the same times it gives the same."""
    start, expiry = (datetime.fromisoformat(query[name]) for name in ("skt", "ske"))
    return str(blobs.get_user_delegation_key(start, expiry).value)


def test_one_key_for_all_urls(blobs: BlobServiceClient) -> None:
    """However many SAS URLs a run needs, the service is asked for a key once."""
    run = a_run()
    first = read_url(blobs, run, BlobPlace(run.input_container, "first"))
    second_of_first = int(time.time())
    wait_until(lambda: int(time.time()) > second_of_first)

    later = read_url(blobs, run, BlobPlace(run.input_container, "later"))

    assert parse_qs(first)["skt"] == parse_qs(later)["skt"]


def test_run_longer_than_a_signing_key(blobs: BlobServiceClient) -> None:
    """A run beyond seven days is refused with the setting to change."""
    week = JobSettings(max_wall_clock_time_s=7 * 24 * 3600)

    with pytest.raises(ConfigurationError, match=r"7 days at most: lower job.max_wall_clock"):
        write_url(blobs, a_run(week))

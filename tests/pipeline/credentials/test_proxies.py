"""A proxy of the environment is asked for real services, and never for what is on this machine."""

import base64
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from pydantic import SecretStr

from blocks import AzureBatchCredentials
from tests.pipeline.command_line.test_command_line import SAMPLE, SCRIPT, run
from tests.pipeline.command_line.test_own_prefect import environment_of
from tests.support.http_server import QuietHandler
from tests.support.paths import PROJECT
from tests.support.proxy import AskedProxy, asked_proxy

KEY = base64.b64encode(b"secret").decode()
REAL = {
    "AZURE_BATCH_ACCOUNT": "acc",
    "AZURE_BATCH_ENDPOINT": "https://acc.westeurope.batch.azure.com",
    "AZURE_BATCH_ACCESS_KEY": KEY,
    "AZURE_STORAGE_ACCOUNT": "acc",
    "AZURE_STORAGE_KEY": KEY,
}


@pytest.fixture
def proxy() -> Iterator[AskedProxy]:
    """A proxy that forwards nothing."""
    with asked_proxy() as proxy:
        yield proxy


@pytest.mark.parametrize(
    "no_proxy", ["", pytest.param("intranet.example", marks=pytest.mark.machines)]
)
def test_local_run_asks_no_proxy(proxy: AskedProxy, tmp_path: Path, no_proxy: str) -> None:
    """Flow, emulator, node program, Prefect's client and its server all stay on this machine."""
    given = {"NO_PROXY": no_proxy} if no_proxy else {}
    environment = environment_of(
        tmp_path / "home", tmp_path / "cache", **proxy.environment, **given
    )

    done = run(tmp_path, SCRIPT, "--local", SAMPLE, environment=environment)

    assert done.returncode == 0, done.stderr
    assert proxy.asked == []


def test_real_services_are_asked_through_the_proxy(proxy: AskedProxy, tmp_path: Path) -> None:
    """Both accounts are asked for by name, so that the proxy finds them."""
    environment = environment_of(tmp_path / "home", tmp_path / "cache", **proxy.environment, **REAL)
    environment["PYTHONPATH"] = str(PROJECT)

    done = run(tmp_path, "-m", "blocks", "check", environment=environment)

    assert done.returncode == 1
    assert set(proxy.asked) == {
        "CONNECT acc.westeurope.batch.azure.com:443",
        "CONNECT acc.blob.core.windows.net:443",
    }


class NoPools(QuietHandler):
    """Answers a listing without anything in it."""

    def do_GET(self) -> None:  # noqa: N802 - the name is http.server's
        """Answer it."""
        content = b'{"value": []}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def test_other_addresses_of_this_machine(
    proxy: AskedProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of 127.0.0.0/8 is this machine, without any `no_proxy`."""
    for name, value in proxy.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.8.9.10", 0), NoPools) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            url = f"http://127.8.9.10:{server.server_port}"
            key = SecretStr(KEY)
            AzureBatchCredentials(account_name="acc", endpoint=url, key=key).check_connection()
        finally:
            server.shutdown()
            thread.join()

    # Clients of other tests may still be at work in this process, and ask the proxy, too.
    assert not [line for line in proxy.asked if "127.8.9.10" in line]

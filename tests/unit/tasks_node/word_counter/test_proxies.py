"""Requests of the node program for real storage go through a proxy, if its node has one."""

import base64

import pytest

from tests.support.proxy import asked_proxy
from word_counter.storage import Location, proxy_for, request

REAL = "account.blob.core.windows.net"
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without proxies, to be changed."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_real_storage_is_asked_through_the_proxy(
    environment: pytest.MonkeyPatch, name: str
) -> None:
    """The proxy is asked to connect to the account."""
    with asked_proxy() as proxy:
        environment.setenv(name, proxy.url)
        connection = Location("https", REAL, "/c/b", "sig=s3cret").connect()
        answer = request(connection, ("GET", "/c/b?sig=s3cret", None, {}), 200)
        connection.close()

    assert not answer.done
    # Clients of other tests may still be at work in this process, and ask the proxy, too.
    assert f"CONNECT {REAL}:443" in proxy.asked


@pytest.mark.parametrize(
    ("host", "variables"),
    [
        (REAL, {}),
        (REAL, {"https_proxy": "http://proxy:1", "no_proxy": ".windows.net"}),
        (REAL, {"https_proxy": "socks5://proxy:1"}),
        ("localhost:1", {"https_proxy": "http://proxy:1"}),
        ("127.8.9.10:1", {"ALL_PROXY": "http://proxy:1"}),
        ("[::1]:1", {"HTTPS_PROXY": "http://proxy:1"}),
    ],
)
def test_no_proxy(environment: pytest.MonkeyPatch, host: str, variables: dict[str, str]) -> None:
    """Without a proxy for it, and on this machine always, a service is asked itself."""
    for name, value in variables.items():
        environment.setenv(name, value)

    assert proxy_for(host) is None


def test_proxy_with_a_user(environment: pytest.MonkeyPatch) -> None:
    """User and password of its URL become a header, and are no part of the host."""
    environment.setenv("https_proxy", "me:p%40ss@proxy.example")

    proxy = proxy_for(REAL)

    assert proxy
    assert proxy.host == "proxy.example:80"
    encoded = proxy.headers["Proxy-Authorization"].removeprefix("Basic ")
    assert base64.b64decode(encoded) == b"me:p@ss"

"""What is added to `no_proxy`, and when."""

import os

import pytest

from prefect_azure_batch.credentials.proxies import bypass_on_this_machine, proxies_for

HERE = "127.0.0.1,localhost,::1,127.0.0.0/8"
SERVER = "http://127.0.0.7:4200/api"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment that has no proxy, and is as before after the test."""
    kept = {
        name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")
    }
    kept.pop("PREFECT_API_URL", None)
    monkeypatch.setattr(os, "environ", kept)
    return kept


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"http_proxy": "p"}, HERE),
        ({"HTTPS_PROXY": "p", "no_proxy": "a.example, .b"}, f"a.example,.b,{HERE}"),
        ({"ALL_PROXY": "p", "NO_PROXY": "localhost"}, "localhost,127.0.0.1,::1,127.0.0.0/8"),
        ({"http_proxy": "p", "no_proxy": "", "NO_PROXY": "a"}, f"a,{HERE}"),
        ({"http_proxy": "p", "PREFECT_API_URL": SERVER}, f"{HERE},127.0.0.7"),
        ({"http_proxy": "p", "PREFECT_API_URL": "https://prefect.example/api"}, HERE),
    ],
)
def test_this_machine_is_added(
    environment: dict[str, str], given: dict[str, str], expected: str
) -> None:
    """What the user has there comes first; both spellings then say the same, as clients differ."""
    environment.update(given)

    bypass_on_this_machine()

    assert (environment["no_proxy"], environment["NO_PROXY"]) == (expected, expected)


@pytest.mark.parametrize("given", [{}, {"http_proxy": ""}, {"NO_PROXY": "a"}])
def test_nothing_is_set_without_a_proxy(environment: dict[str, str], given: dict[str, str]) -> None:
    """On macOS the variable alone would hide the system's proxies."""
    environment.update(given)

    bypass_on_this_machine()

    assert {name: value for name, value in environment.items() if "proxy" in name.lower()} == given


def test_no_host_at_all_by_a_proxy(environment: dict[str, str]) -> None:
    """A star is every host: with more beside it, it would be none."""
    environment.update({"http_proxy": "p", "no_proxy": "*"})

    bypass_on_this_machine()

    assert environment["no_proxy"] == "*"


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        ("http://localhost:1", True),
        ("http://account.localhost:1", True),
        ("http://127.1.2.3", True),
        ("http://[::1]:1", True),
        ("https://acc.westeurope.batch.azure.com", False),
        ("", False),
    ],
)
def test_proxies_of_a_client(url: str, is_here: bool) -> None:  # noqa: FBT001 - a table
    """A client of this machine gets an empty one; others read the environment."""
    assert proxies_for(url) == ({"http": "", "https": ""} if is_here else {})

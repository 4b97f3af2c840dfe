"""The clouds of Azure, by the host of an endpoint."""

import pytest

from prefect_azure_batch.credentials.clouds import cloud_of

ENDPOINT = "https://acc.westeurope.batch.azure.com"


@pytest.mark.parametrize(
    ("endpoint", "authority", "scope"),
    [
        (ENDPOINT, None, "https://batch.core.windows.net//.default"),
        ("https://127.0.0.1:8443", None, "https://batch.core.windows.net//.default"),
        (
            "https://acc.chinaeast2.batch.chinacloudapi.cn",
            "login.chinacloudapi.cn",
            "https://batch.chinacloudapi.cn//.default",
        ),
        (
            "https://acc.usgovvirginia.batch.usgovcloudapi.net:443/",
            "login.microsoftonline.us",
            "https://batch.core.usgovcloudapi.net//.default",
        ),
        (
            "https://acc.blob.core.usgovcloudapi.net",
            "login.microsoftonline.us",
            "https://batch.core.usgovcloudapi.net//.default",
        ),
        (
            "https://usgovcloudapi.net.example.com",
            None,
            "https://batch.core.windows.net//.default",
        ),
    ],
)
def test_cloud_of_an_endpoint(endpoint: str, authority: str | None, scope: str) -> None:
    """The end of the host says who issues tokens, and for what resource."""
    cloud = cloud_of(endpoint)

    assert (cloud.authority, cloud.batch_scope) == (authority, scope)

"""The clouds of Azure, recognised by the host of an endpoint: who issues tokens, and for what."""

from typing import NamedTuple
from urllib.parse import urlsplit


class Cloud(NamedTuple):
    """One cloud.

    Attributes:
        domain: how the hosts of its services end.
        authority: host of its Entra ID; None leaves it to azure-identity and its variables.
        batch_scope: for what a token for Batch is asked. (Storage has one name in all clouds.)
    """

    domain: str
    authority: str | None
    batch_scope: str


# Two slashes: the resource's name ends with one, and tokens have to name it exactly.
PUBLIC = Cloud("", None, "https://batch.core.windows.net//.default")
SOVEREIGN = (
    Cloud(
        ".chinacloudapi.cn", "login.chinacloudapi.cn", "https://batch.chinacloudapi.cn//.default"
    ),
    Cloud(
        ".usgovcloudapi.net",
        "login.microsoftonline.us",
        "https://batch.core.usgovcloudapi.net//.default",
    ),
)


def cloud_of(endpoint: str) -> Cloud:
    """Return the cloud of an endpoint; the public one where its host does not say."""
    host = urlsplit(endpoint).hostname or ""
    return next((cloud for cloud in SOVEREIGN if host.endswith(cloud.domain)), PUBLIC)

"""The images that nodes can have, as the service lists them; here they are only names.

Publishers, offers, skus and node agents are those of the real service in November 2026.
"""

from local_azure.batch.calls.call import Call, Reply
from local_azure.batch.calls.odata import parse_filter
from local_azure.batch.wire.formats import Json

# publisher, offer, sku, node agent, OS type, end of support (None: not announced)
_IMAGES = (
    ("canonical", "ubuntu-24_04-lts", "server", "batch.node.ubuntu 24.04", "linux", None),
    ("canonical", "ubuntu-24_04-lts", "server-gen1", "batch.node.ubuntu 24.04", "linux", None),
    (
        "canonical",
        "0001-com-ubuntu-server-jammy",
        "22_04-lts",
        "batch.node.ubuntu 22.04",
        "linux",
        "2027-06-30T00:00:00Z",
    ),
    (
        "microsoftwindowsserver",
        "windowsserver",
        "2022-datacenter",
        "batch.node.windows amd64",
        "windows",
        None,
    ),
)
_FIELDS = frozenset({"nodeAgentSKUId", "osType", "verificationType", "batchSupportEndOfLife"})


def _view(image: tuple[str, str, str, str, str, str | None]) -> Json:
    publisher, offer, sku, agent, os_type, end = image
    view: Json = {
        "nodeAgentSKUId": agent,
        "imageReference": {
            "publisher": publisher,
            "offer": offer,
            "sku": sku,
            "version": "latest",
        },
        "osType": os_type,
        "capabilities": [],
        "verificationType": "verified",
    }
    return view | ({"batchSupportEndOfLife": end} if end else {})


def list_supported_images(call: Call) -> Reply:
    """GET /supportedimages."""
    passes = parse_filter(call.query.get("$filter"), _FIELDS)
    value = [view for view in map(_view, _IMAGES) if passes(view)]
    return Reply(
        body={"odata.metadata": f"{call.base_url}/$metadata#supportedimages", "value": value}
    )

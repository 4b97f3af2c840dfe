"""What the name of a VM size says."""

import re

from local_azure.batch.wire.errors import invalid_property

_VM_SIZE = re.compile(r"(?:standard|basic)_[a-z]+(\d+)[a-z0-9_-]*", re.IGNORECASE)


def cores_of(vm_size: str) -> int:
    """Read the number of cores off the name of a VM size.

    Raises:
        BatchError: 400, the name is not of the form standard_<family><cores>...
    """
    found = _VM_SIZE.fullmatch(vm_size)
    if found is None:
        raise invalid_property("vmSize", vm_size, "no such VM size, for example standard_d2s_v5")
    return max(1, int(found.group(1)))

"""A flow that says which parameter is too long; by itself, Prefect's server answers 422."""

import json
from typing import Any, ParamSpec, TypeVar

from prefect import Flow
from prefect.settings import get_current_settings

from prefect_azure_batch.errors import ConfigurationError

P = ParamSpec("P")
R = TypeVar("R")

ADVICE = {
    "inputs": "name a folder, a glob or az://container/prefix instead of each file, give "
    "inputs=list_file(paths) (from prefect_azure_batch), or on the command line --inputs-from FILE"
}


class BoundedFlow(Flow[P, R]):
    """A flow whose parameters are measured before its run is made."""

    def serialize_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return them as JSON has them.

        Raises:
            ConfigurationError: they are larger than Prefect takes.
        """
        serialized = super().serialize_parameters(parameters)
        limit = get_current_settings().server.api.max_parameter_size
        sizes = {name: _size(value) for name, value in serialized.items()}
        if limit > 0 and _size(serialized) > limit:
            longest = max(sizes, key=lambda name: sizes[name])
            advice = ADVICE.get(longest, "shorten it, for example by patterns instead of names")
            raise ConfigurationError(
                f"parameter {longest} of flow {self.name} is too long ({sizes[longest]:,} bytes of "
                f"JSON; Prefect takes {limit:,} for all parameters): {advice}"
            )
        return serialized

    def with_options(self, *args: Any, **options: Any) -> "BoundedFlow[P, R]":
        """Return the flow with other options, bounded as well."""
        return bounded(super().with_options(*args, **options))


def bounded(flow: Flow[P, R]) -> BoundedFlow[P, R]:
    """Make a flow measure its parameters: `@bounded` above `@flow`."""
    flow.__class__ = BoundedFlow
    assert isinstance(flow, BoundedFlow)  # noqa: S101 - for type checkers
    return flow


def _size(value: object) -> int:
    # As Prefect's server measures it.
    return len(json.dumps(value, separators=(",", ":")).encode())

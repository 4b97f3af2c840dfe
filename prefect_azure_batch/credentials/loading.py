"""Loading a saved block, with an error that says how to save it."""

from typing import TypeVar, cast

from prefect.blocks.core import Block
from pydantic import ValidationError

_Block = TypeVar("_Block", bound=Block)


def load_named(block_type: type[_Block], name: str) -> _Block:
    """Load a saved block.

    Raises:
        ValueError: Prefect's server has no block of this type and name.
    """
    try:
        return cast("_Block", block_type.load(name))
    except ValueError as error:
        raise ValueError(
            f"no block {name!r} of type {block_type.get_block_type_slug()!r} could be loaded "
            f"({plain_message(error)}): save it with `batch-map blocks save {name}`"
        ) from error


def plain_message(error: ValueError) -> str:
    """Return what a ValueError says; of pydantic's, only the sentences of the checks."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(item["msg"].removeprefix("Value error, ") for item in error.errors())

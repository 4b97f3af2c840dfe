"""Loading a saved block, with an error that says how to save it."""

from typing import TypeVar, cast

from prefect.blocks.core import Block

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
            f"({error}): save it with `python -m blocks save {name}`"
        ) from error

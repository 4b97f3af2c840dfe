"""Pools that are made with a job for that job alone, and end with it unless they are kept alive."""

from dataclasses import replace
from uuid import uuid4

from local_azure.batch.calls.call import Call
from local_azure.batch.operations.pools import create_pool
from local_azure.batch.wire.errors import BatchError, not_implemented
from local_azure.batch.wire.failures import failure
from local_azure.batch.wire.formats import Json


def make(call: Call, pool_info: Json) -> tuple[str | None, Json | None]:
    """Make the pool that a job asks for, if it does.

    Returns:
        The pool's id, or the job's schedulingError where the account can have no more pools.

    Raises:
        BatchError: 400 or 501, the pool's specification is not one.
    """
    given = pool_info.get("autoPoolSpecification")
    if given is None:
        return None, None
    guid, prefix = str(uuid4()).upper(), given.get("autoPoolIdPrefix")
    pool_id = f"{prefix}_{guid}" if prefix else guid
    try:
        create_pool(replace(call, body=given["pool"] | {"id": pool_id}))
    except BatchError as error:
        if error.code != "PoolQuotaReached":
            raise
        return None, failure("AutoPoolCreationFailedWithQuotaReached", error.message)
    return pool_id, None


def check_change(old: Json, new: Json) -> None:
    """Refuse any change to or of an auto pool but that of its keepAlive.

    Raises:
        BatchError: 501.
    """
    automatic = [info.get("autoPoolSpecification") for info in (old, new)]
    if automatic == [None, None]:
        return
    fixed = [{**(given or {}), "keepAlive": None} for given in automatic]
    if None in automatic or fixed[0] != fixed[1]:
        raise not_implemented("a change from, to or of an auto pool, but for keepAlive")

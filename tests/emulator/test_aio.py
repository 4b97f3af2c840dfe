"""The SDK's asynchronous client against the emulator."""

import asyncio

from azure.batch import BatchClient
from azure.batch.aio import BatchClient as AsyncBatchClient
from azure.batch.models import BatchJobCreateOptions, BatchPoolInfo, BatchTaskCreateOptions
from azure.core.credentials import AzureNamedKeyCredential

from tests.support.emulator.builders import new_id
from tests.support.emulator.emulators import ACCOUNT, KEY, Emulator


async def _run_task(url: str, pool: str) -> bytes:
    """Run a task to its end with the asynchronous client; return what it wrote."""
    job = new_id("job")
    async with AsyncBatchClient(url, AzureNamedKeyCredential(ACCOUNT, KEY)) as client:
        await client.create_job(
            BatchJobCreateOptions(id=job, pool_info=BatchPoolInfo(pool_id=pool))
        )
        await client.create_tasks(job, [BatchTaskCreateOptions(id="t", command_line="echo async")])
        async with asyncio.timeout(30):
            # What is waited for happens in another process: there is no event to wait on.
            while (await client.get_task(job, "t")).state != "completed":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        content = await client.download_task_file(job, "t", "stdout.txt")
        return b"".join([block async for block in content])


def test_asynchronous_client_runs_a_task(batch: BatchClient, emulator: Emulator, pool: str) -> None:
    """What the asynchronous client asks for is done and answered as for the other one."""
    assert [item.id for item in batch.list_pools()] == [pool]
    assert asyncio.run(_run_task(emulator.url, pool)) == b"async\n"

"""How fast the Batch emulator is: `python -m benchmarks.emulator [--tasks N] [--many N ...]`.

Prints requests per second; tasks per second beside a bare `xargs -P` that runs the same commands;
and what many waiting tasks cost: time to add them, memory, a task count and a filtered list.
"""

import argparse
import base64
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential

KEY = base64.b64encode(b"a key for the benchmark").decode()
COMMANDS = {"/bin/true": "/bin/true", "Python no-op": f"{sys._base_executable} -I -S -c pass"}  # type: ignore[attr-defined] # noqa: SLF001
SLOTS = (1, 4, 16)
ROUNDS = 3
REQUESTS = 300
IMAGE = models.VirtualMachineConfiguration(
    image_reference=models.BatchVmImageReference(
        publisher="canonical", offer="ubuntu-24_04-lts", sku="server"
    ),
    node_agent_sku_id="batch.node.ubuntu 24.04",
)


@contextmanager
def emulator() -> Iterator[tuple[BatchClient, int]]:
    """Run an emulator; give its client and its process id."""
    folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
    environment = os.environ | {"LOCAL_AZURE_BATCH_ACCOUNT": "bench", "LOCAL_AZURE_BATCH_KEY": KEY}
    command = [sys.executable, "-m", "local_azure.batch", "--nodes-dir", str(folder)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            url = process.stdout.readline().removeprefix("ready ").strip()
            with BatchClient(url, AzureNamedKeyCredential("bench", KEY)) as client:
                yield client, process.pid
        finally:
            process.terminate()
            process.wait(timeout=30)
            shutil.rmtree(folder)


def seconds(action: Callable[[], object]) -> float:
    """Return how long an action takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def make_pool(client: BatchClient, slots: int) -> str:
    """Create a pool of one node with so many slots; return its id once the node is idle."""
    name = f"slots{slots}"
    client.create_pool(
        models.BatchPoolCreateOptions(
            id=name,
            vm_size=f"standard_d{max(2, slots // 4)}s_v5",
            virtual_machine_configuration=IMAGE,
            target_dedicated_nodes=1,
            task_slots_per_node=slots,
        )
    )
    while [node.state for node in client.list_nodes(name)] != ["idle"]:
        time.sleep(0.02)
    return name


def run_tasks(client: BatchClient, pool: str, job: str, command: str, number: int) -> float:
    """Add tasks to a job on a pool; return the seconds until the last has completed."""
    client.create_job(
        models.BatchJobCreateOptions(id=job, pool_info=models.BatchPoolInfo(pool_id=pool))
    )
    tasks = [
        models.BatchTaskCreateOptions(id=f"t{at}", command_line=command) for at in range(number)
    ]

    def work() -> None:
        client.create_tasks(job, tasks)
        while client.get_job_task_counts(job).task_counts.completed < number:
            time.sleep(0.02)

    return seconds(work)


def run_xargs(command: str, number: int, slots: int) -> float:
    """Run the same commands by xargs; return the seconds."""
    numbers = "".join(f"{at}\n" for at in range(number))
    arguments = ["xargs", "-P", str(slots), "-I{}", *command.split()]
    return seconds(lambda: subprocess.run(arguments, input=numbers, text=True, check=True))  # noqa: S603


def rss_mb(pid: int) -> float:
    """Return the memory of a process, in MB (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1000


def requests_per_second(client: BatchClient) -> None:
    """Print how many reads of a job the SDK gets answered in a second, one after the other."""
    client.create_job(
        models.BatchJobCreateOptions(id="read", pool_info=models.BatchPoolInfo(pool_id="none"))
    )
    took = seconds(lambda: [client.get_job("read") for _ in range(REQUESTS)])
    print(f"requests (get_job through the SDK): {REQUESTS / took:.0f}/s")


def throughput(client: BatchClient, number: int) -> None:
    """Print tasks per second beside xargs, in turn, and the median ratio."""
    print(f"{number} tasks, median of {ROUNDS} rounds in turn; ratio = emulator / xargs")
    for slots in SLOTS:
        pool = make_pool(client, slots)
        for label, command in COMMANDS.items():
            ours, theirs = [], []
            for at in range(ROUNDS):
                job = f"{pool}-{label.split('/')[-1].replace(' ', '-')}-{at}"
                ours.append(run_tasks(client, pool, job, command, number))
                theirs.append(run_xargs(command, number, slots))
            ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
            speed, bare = (number / statistics.median(times) for times in (ours, theirs))
            print(f"  {label:12} {slots:2} slots: {speed:5.0f}/s  xargs {bare:5.0f}/s  {ratio:.2f}")


def many(client: BatchClient, pid: int, number: int) -> None:
    """Print what so many waiting tasks cost."""
    job = f"many{number}"
    client.create_job(
        models.BatchJobCreateOptions(id=job, pool_info=models.BatchPoolInfo(pool_id="none"))
    )
    tasks = [
        models.BatchTaskCreateOptions(id=f"t{at}", command_line="/bin/true") for at in range(number)
    ]
    before = rss_mb(pid)
    added = seconds(lambda: client.create_tasks(job, tasks, max_concurrency=2))
    memory = (rss_mb(pid) - before) * 1000 / number
    counted = statistics.median(seconds(lambda: client.get_job_task_counts(job)) for _ in range(20))
    listed = seconds(
        lambda: list(client.list_tasks(job, filter="state eq 'completed'", select=["id"]))
    )
    print(
        f"{number} waiting tasks: added in {added:.1f} s ({added / number * 1e6:.0f} us each), "
        f"{memory:.1f} kB each, task count {counted * 1000:.1f} ms, "
        f"filtered list {listed * 1000:.0f} ms ({listed / number * 1e6:.1f} us a task)"
    )


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=200, help="tasks of a throughput round")
    parser.add_argument("--many", type=int, nargs="*", default=[10_000, 100_000])
    options = parser.parse_args()
    with emulator() as (client, _):
        requests_per_second(client)
        throughput(client, options.tasks)
    for number in options.many:
        with emulator() as (client, pid):
            many(client, pid, number)


if __name__ == "__main__":
    main()

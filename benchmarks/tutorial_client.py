"""What the tutorial's client does, ported to today's SDKs, as what the flow is measured against.

`python benchmarks/tutorial_client.py FOLDER --output-dir FOLDER [--nodes N] [--task-slots N]`

The same steps in the same order: one call after the other, the container's SAS on the command
line, a full list of all batch tasks every second, success taken for granted once all of them are
completed, and nothing deleted if anything raises. The accounts come from the environment.
"""

import argparse
import os
import shlex
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import (
    BlobSasPermissions,
    BlobServiceClient,
    ContainerSasPermissions,
    generate_blob_sas,
    generate_container_sas,
)

POOL_ID = "PythonTutorialPool"
JOB_ID = "PythonTutorialJob"
VM_SIZE = "standard_d2s_v5"
CONTAINERS = ("application", "input", "output")
TASK_SCRIPT = Path(__file__).with_name("tutorial_task.py")
NUM_WORDS = 3
VALID = timedelta(hours=2)
TIMEOUT = timedelta(minutes=20)
COLLECTION_SIZE = 100


def in_shell(commands: list[str]) -> str:
    """Wrap commands into one command line for the nodes' shell."""
    script = "set -e; set -o pipefail; " + "; ".join(commands) + "; wait"
    return f"/bin/bash -c {shlex.quote(script)}"


def sas_terms(blobs: BlobServiceClient) -> dict[str, Any]:
    """Return what all SAS tokens of an account have in common."""
    return {
        "account_name": blobs.account_name,
        "account_key": blobs.credential.account_key,
        "expiry": datetime.now(UTC) + VALID,
    }


def upload(blobs: BlobServiceClient, container: str, path: Path) -> models.ResourceFile:
    """Upload a file and return how a batch task gets it."""
    print(f"Uploading file {path} to container [{container}]...")
    blob = blobs.get_blob_client(container, path.name)
    with path.open("rb") as file:
        blob.upload_blob(file, overwrite=True)
    token = generate_blob_sas(
        container_name=container,
        blob_name=path.name,
        permission=BlobSasPermissions(read=True),
        **sas_terms(blobs),
    )
    return models.ResourceFile(file_path=path.name, http_url=f"{blob.url}?{token}")


def create_pool(
    batch: BatchClient, script: models.ResourceFile, nodes: int, task_slots: int
) -> None:
    """Create the pool with the newest Ubuntu that the service lists."""
    print(f"Creating pool [{POOL_ID}]...")
    images = [
        image
        for image in batch.list_supported_images()
        if image.image_reference.publisher == "canonical" and image.verification_type == "verified"
    ]
    newest = max(images, key=lambda image: str(image.image_reference.offer))
    batch.create_pool(
        models.BatchPoolCreateOptions(
            id=POOL_ID,
            vm_size=VM_SIZE,
            virtual_machine_configuration=models.VirtualMachineConfiguration(
                image_reference=newest.image_reference,
                node_agent_sku_id=newest.node_agent_sku_id,
            ),
            target_dedicated_nodes=nodes,
            task_slots_per_node=task_slots,
            start_task=models.BatchStartTask(
                command_line=in_shell(
                    ["cp -r $AZ_BATCH_TASK_WORKING_DIR/* $AZ_BATCH_NODE_SHARED_DIR"]
                ),
                resource_files=[script],
                user_identity=models.UserIdentity(
                    auto_user=models.AutoUserSpecification(elevation_level="admin")
                ),
                wait_for_success=True,
            ),
        )
    )


def add_tasks(
    batch: BatchClient, blobs: BlobServiceClient, inputs: list[models.ResourceFile]
) -> None:
    """Add a batch task for each input, as many in one call as the service takes."""
    print(f"Adding {len(inputs)} tasks to job [{JOB_ID}]...")
    token = generate_container_sas(
        container_name="output",
        permission=ContainerSasPermissions(write=True),
        **sas_terms(blobs),
    )
    command = (
        f"python3 $AZ_BATCH_NODE_SHARED_DIR/{TASK_SCRIPT.name} --filepath {{}}"
        f" --numwords {NUM_WORDS} --storageurl {blobs.primary_endpoint.rstrip('/')}"
        f' --storagecontainer output --sastoken "{token}"'
    )
    tasks = [
        models.BatchTaskCreateOptions(
            id=f"topNtask{number}",
            command_line=in_shell([command.format(source.file_path)]),
            resource_files=[source],
        )
        for number, source in enumerate(inputs)
    ]
    for start in range(0, len(tasks), COLLECTION_SIZE):
        group = models.BatchTaskGroup(task_values=tasks[start : start + COLLECTION_SIZE])
        batch.create_task_collection(JOB_ID, group)


def wait_for_tasks(batch: BatchClient) -> None:
    """List all batch tasks every second until all are completed.

    Raises:
        RuntimeError: they are not in time.
    """
    print(f"Monitoring all tasks for 'Completed' state, timeout in {TIMEOUT}...", end="")
    deadline = datetime.now(UTC) + TIMEOUT
    while datetime.now(UTC) < deadline:
        print(".", end="")
        sys.stdout.flush()
        if all(task.state == "completed" for task in list(batch.list_tasks(JOB_ID))):
            print("\n  Success! All tasks reached the 'Completed' state.")
            return
        time.sleep(1)
    raise RuntimeError(f"ERROR: tasks did not reach 'Completed' state within {TIMEOUT}")


def download(blobs: BlobServiceClient, folder: Path) -> None:
    """Download all blobs of the output container into a folder."""
    print("Downloading all files from container [output]...")
    container = blobs.get_container_client("output")
    for blob in container.list_blobs():
        with (folder / blob.name).open("wb") as file:
            container.download_blob(blob.name).readinto(file)
        print(f"  Downloaded blob [{blob.name}] from container [output] to {folder / blob.name}")
    print("  Download complete!")


def main() -> None:
    """Do the tutorial's steps, with `yes` for an answer to both of its questions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output-dir", type=Path, required=True)
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--task-slots", type=int, default=1)
    options = parser.parse_args()
    began = datetime.now(UTC).replace(microsecond=0)
    print(f"Sample start: {began:%Y-%m-%d %H:%M:%S}\n")
    env = os.environ
    blobs = BlobServiceClient.from_connection_string(env["AZURE_STORAGE_CONNECTION_STRING"])
    for name in CONTAINERS:
        if not blobs.get_container_client(name).exists():
            blobs.create_container(name)
    script = upload(blobs, "application", TASK_SCRIPT)
    inputs = [upload(blobs, "input", path) for path in sorted(options.folder.iterdir())]
    key = AzureNamedKeyCredential(env["AZURE_BATCH_ACCOUNT"], env["AZURE_BATCH_ACCESS_KEY"])
    batch = BatchClient(env["AZURE_BATCH_ENDPOINT"], key)
    create_pool(batch, script, options.nodes, options.task_slots)
    print(f"Creating job [{JOB_ID}]...")
    job_pool = models.BatchPoolInfo(pool_id=POOL_ID)
    batch.create_job(models.BatchJobCreateOptions(id=JOB_ID, pool_info=job_pool))
    add_tasks(batch, blobs, inputs)
    wait_for_tasks(batch)
    download(blobs, options.output_dir)
    print("Deleting containers...")
    for name in CONTAINERS:
        blobs.delete_container(name)
    ended = datetime.now(UTC).replace(microsecond=0)
    print(f"\nSample end: {ended:%Y-%m-%d %H:%M:%S}\nElapsed time: {ended - began}\n")
    batch.begin_delete_job(JOB_ID)
    batch.begin_delete_pool(POOL_ID)


if __name__ == "__main__":
    main()

"""What is found out before anything is created: the inputs, the program, and the plan."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobProperties
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from flows.word_count.merging import Level, plan_levels
from flows.word_count.packing import is_too_large, plan_batch_tasks
from prefect_azure_batch.engine.plan import Plan, make_plan
from prefect_azure_batch.errors import BadInput, ConfigurationError
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.tasks import BlobPlace, InputFile
from prefect_azure_batch.service.clients import Services, error_code, step
from prefect_azure_batch.service.sas import write_url
from prefect_azure_batch.settings import DEFAULT_NUM_WORDS, JobSettings, PoolSettings, Selection
from prefect_azure_batch.staging.archives import uploads_of
from prefect_azure_batch.staging.containers import program_files
from prefect_azure_batch.staging.local_inputs import (
    BLOB_SCHEME,
    FIRST_BLOCK,
    find_inputs,
    is_binary,
    is_gzip,
    is_selected,
    path_below,
    safe_name,
)
from prefect_azure_batch.workloads.own_program import plan_own_program

ARTIFACT_KEY = "plan"
# Reading the beginning of every blob would be a call for each.
NUM_SAMPLES = 8
ELF_MACHINES = {"x86_64": 0x3E, "aarch64": 0xB7}
"""What an ELF file for a kind of node has at byte 18, as a number of two bytes."""


@step("find the inputs")
def gather_inputs(
    services: Services, patterns: Sequence[str], selection: Selection, job: JobSettings
) -> list[InputFile]:
    """Find the inputs on this machine and in Blob Storage, and look whether they are text.

    Every file is looked into; of the blobs of a prefix a few, and all that are to be split. A
    program of the user's own takes files of any kind.

    Args:
        services: the clients.
        patterns: files, folders, globs, and `az://container/prefix`.
        selection: which files of folders and globs, and which blobs, are worked on.
        job: whose program, and above which size an input is split.

    Raises:
        BadInput: a pattern stands for nothing, or an input is not readable, or not text.
    """
    are_texts = job.program is None

    def list_blobs(prefix: BlobPlace, selection: Selection) -> list[InputFile]:
        """Find the blobs of a prefix."""
        found = _listed(services, prefix, selection)
        return _examined(services, prefix, found, job) if are_texts else found

    return find_inputs(patterns, selection, list_blobs, are_texts=are_texts)


def _listed(services: Services, prefix: BlobPlace, selection: Selection) -> list[InputFile]:
    container = services.blobs.get_container_client(prefix.container)
    url = f"{BLOB_SCHEME}{prefix.container}/{prefix.name}"
    try:
        # Their metadata mark folders, where the account has real ones.
        listing = list(container.list_blobs(prefix.name or None, include=["metadata"]))
    except ResourceNotFoundError as error:
        if error_code(error) != "ContainerNotFound":
            raise
        raise BadInput(f"input {url!r}: no container {prefix.container!r}") from error
    found = list(_chosen(prefix, listing, selection))
    if not found:
        raise BadInput(
            f"input {url!r}: no blob of container {prefix.container!r} begins with "
            f"{prefix.name!r} and is left by selection.include and selection.exclude"
        )
    return found


def _chosen(
    prefix: BlobPlace, listing: Sequence[BlobProperties], selection: Selection
) -> Iterator[InputFile]:
    for blob in listing:
        name = str(blob.name)
        path = path_below(prefix.name, name)
        is_folder = name.endswith("/") or (blob.metadata or {}).get("hdi_isfolder") == "true"
        if is_folder or not (name == prefix.name or is_selected(selection, path)):
            continue
        place = BlobPlace(prefix.container, name)
        if str(blob.blob_tier) == "Archive":
            raise BadInput(f"input {_url(place)!r} is in the archive tier: rehydrate it first")
        yield InputFile(path, int(blob.size or 0), blob=place, version=str(blob.etag))


def _examined(
    services: Services, prefix: BlobPlace, found: Sequence[InputFile], job: JobSettings
) -> list[InputFile]:
    """Return blobs with what their beginnings tell, of those that are looked into."""
    distance = max(1, len(found) // NUM_SAMPLES)
    examined = [
        _look(services, source) if number % distance == 0 or is_too_large(source, job) else source
        for number, source in enumerate(found)
    ]
    get_run_logger().info(
        "%d blobs begin with %s%s/%s; one in %d was looked into",
        *(len(found), BLOB_SCHEME, prefix.container, prefix.name, distance),
    )
    return examined


def _look(services: Services, source: InputFile) -> InputFile:
    if source.blob is None or source.size == 0:
        return source
    blob = services.blobs.get_blob_client(source.blob.container, source.blob.name)
    block = blob.download_blob(offset=0, length=FIRST_BLOCK).readall()
    if is_binary(block):
        raise BadInput(
            f"input {_url(source.blob)!r} is binary (it holds NUL bytes): leave it out by "
            "selection.exclude, or give UTF-8 text"
        )
    return replace(source, is_gzip=is_gzip(block))


def _url(place: BlobPlace) -> str:
    return f"{BLOB_SCHEME}{place.container}/{place.name}"


def check_program(job: JobSettings, num_words: int) -> None:
    """Compile the program, and see what machine its accelerators are for.

    Args:
        job: which program.
        num_words: how many words are asked for; a program of the user's own knows of none.

    Raises:
        ConfigurationError: there is no such file, or no node could run it.
    """
    if job.program is not None and num_words != DEFAULT_NUM_WORDS:
        raise ConfigurationError(
            f"num_words={num_words} is for the word counter only, not for program {job.program}"
        )
    program, *accelerators = program_files(job)
    if program.suffix != ".py" or safe_name(program.name) != program.name:
        raise ConfigurationError(
            f"job.program {program.name!r}: its name must end with .py and hold no control "
            "characters, backslashes or more than 200 bytes: rename it"
        )
    try:
        # A warning is its author's affair, and the nodes may have another Python.
        with warnings.catch_warnings(action="ignore"):
            compile(program.read_bytes(), str(program), "exec")
    except (SyntaxError, ValueError) as error:
        raise ConfigurationError(f"the program (job.program) does not compile: {error}") from error
    except OSError as error:
        raise ConfigurationError(
            f"the program {str(program)!r} (job.program) is unreadable: {error.strerror}"
        ) from error
    for accelerator in accelerators:
        check_accelerator(accelerator)


def check_accelerator(path: Path) -> None:
    """Check that a library is made for the machine that its name ends with.

    Raises:
        ConfigurationError: it is not.
    """
    machine = path.stem.rpartition("-")[2]
    with path.open("rb") as file:
        header = file.read(20)
    if header[:4] != b"\x7fELF" or int.from_bytes(header[18:20], "little") != ELF_MACHINES[machine]:
        raise ConfigurationError(
            f"{path.name} beside the word counter is no library for {machine}: "
            "build it again (make accelerator), or delete it"
        )


def plan_run(  # noqa: PLR0913, PLR0917 - these are what a run is made of
    services: Services,
    run: Run,
    pool: PoolSettings,
    job: JobSettings,
    inputs: Sequence[InputFile],
    num_words: int,
) -> tuple[list[Level], Plan]:
    """Plan the batch tasks, level by level, and say what the run will create.

    Raises:
        ConfigurationError: no SAS URL can hold as long as the run may take.
    """
    if job.program is None:
        planned = plan_batch_tasks(run, inputs, num_words, job, pool)
        levels = plan_levels(run, planned, num_words, wants_total=job.total)
    else:
        planned = plan_own_program(run, inputs, job)
        levels = [planned]
    uploads = uploads_of(run, program_files(job), inputs, planned)
    plan = make_plan(run, pool, job, inputs, levels, uploads)
    publish_plan(services, run, plan)
    return levels, plan


@step("publish the plan")
def publish_plan(services: Services, run: Run, plan: Plan) -> None:
    """Write the plan as the artifact `plan`, in short in the log; and try to sign a SAS URL.

    Raises:
        ConfigurationError: no SAS URL can hold as long as the run may take.
    """
    write_url(services.blobs, run)
    create_markdown_artifact(
        key=ARTIFACT_KEY, markdown=plan.markdown(), description="What the run creates"
    )
    get_run_logger().info("plan: %s", plan.summary())

"""What is to be done, as data: inputs, and the batch tasks made of them; it holds no secret."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, overload

from prefect_azure_batch.model.left_out import LeftOut
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.paths import shown

GZIP = b"\x1f\x8b"
BLOB_SCHEME = "az://"


@dataclass(frozen=True, slots=True)
class BlobPlace:
    """A blob of the storage account.

    Attributes:
        container: its container.
        name: its name there, folders included.
    """

    container: str
    name: str

    @property
    def url(self) -> str:
        """As inputs name it: `az://container/name`."""
        return f"{BLOB_SCHEME}{self.container}/{self.name}"


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to work on, on this machine or in Blob Storage already.

    Attributes:
        name: its name in the run, folders included, as blob and on the node; distinct.
        size: bytes.
        path: where it is on this machine, a string to keep thousands small; None for a blob.
        blob: where it is in Blob Storage; None for a file of this machine.
        is_gzip: whether it is known to be compressed, so that no part of it can be read alone.
        version: a blob's ETag: another one means other content.
        given: as it was given, or found by what was given; empty: as `path` or `blob` has it.
    """

    name: str
    size: int
    path: str | None = None
    blob: BlobPlace | None = None
    is_gzip: bool = False
    version: str = ""
    given: str = ""

    @property
    def source(self) -> str:
        """Where it is from, for people and programs: a path or `az://container/name`."""
        return self.given or (self.blob.url if self.blob else shown(str(self.path)))


@dataclass(frozen=True)
class Inputs(Sequence[InputFile]):
    """What a run works on, in order, and what it leaves out.

    Attributes:
        files: what is worked on.
        left_out: what is not.
    """

    files: Sequence[InputFile]
    left_out: Sequence[LeftOut] = ()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.files)

    def __iter__(self) -> Iterator[InputFile]:
        """Yield them in order."""
        return iter(self.files)

    @overload
    def __getitem__(self, index: int) -> InputFile: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[InputFile]: ...
    def __getitem__(self, index: int | slice) -> InputFile | Sequence[InputFile]:
        """Return one, or some of them."""
        return self.files[index]


def left_out_of(inputs: Sequence[InputFile]) -> Sequence[LeftOut]:
    """Return what was left out when these inputs were found."""
    return inputs.left_out if isinstance(inputs, Inputs) else ()


def is_gzip(head: bytes) -> bool:
    """Tell whether a file that begins so is compressed."""
    return head.startswith(GZIP)


def place_of(run: Run, source: InputFile) -> BlobPlace:
    """Return where nodes read an input that is in no archive."""
    return source.blob or BlobPlace(run.input_container, source.name)


@dataclass(frozen=True, slots=True)
class NodeFile:
    """A blob that the service puts into the working directory of a task.

    Attributes:
        blob: which one.
        file_path: its place in the working directory.
    """

    blob: BlobPlace
    file_path: str


@dataclass(frozen=True, slots=True)
class NodeOutput:
    """A file that the service uploads after a batch task that succeeded.

    Attributes:
        file_path: its place in the working directory.
        name: the blob of the output container that it becomes.
    """

    file_path: str
    name: str


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A batch task before it is sent: what it reads, runs and leaves.

    Attributes:
        id: the batch task's id, distinct within the job.
        inputs: names of the inputs that it works on, for people.
        arguments: what its command is made with.
        files: what it finds in its working directory.
        outputs: blobs of the output container that are there after a success.
        results: those of the outputs that are downloaded.
        kind: what it is for, as the plan counts it.
        unpacks_to: files that its one result, an archive, holds; empty if it is not an archive.
        read_urls: environment variables that hold the read-only SAS URL of a blob.
        uploads: outputs that the service uploads; the others are uploaded by the program itself.
    """

    id: str
    inputs: tuple[str, ...]
    arguments: tuple[str, ...]
    files: tuple[NodeFile, ...]
    outputs: tuple[str, ...]
    results: tuple[str, ...]
    kind: str = "for one file each"
    unpacks_to: tuple[str, ...] = ()
    read_urls: tuple[tuple[str, BlobPlace], ...] = ()
    uploads: tuple[NodeOutput, ...] = ()


Level = Sequence[PlannedTask]
"""Batch tasks that can run side by side; they read what the levels before them have left."""


class FileOnDisk(Protocol):
    """A file of this machine, and its name in an archive."""

    @property
    def name(self) -> str:
        """Its name in the archive."""

    @property
    def path(self) -> str | None:
        """Where it is."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A blob to be written.

    Attributes:
        place: where to.
        content: a file, bytes, or the files of this machine that are put into an archive.
        size: bytes, an archive's headers left out.
    """

    place: BlobPlace
    content: Path | bytes | tuple[FileOnDisk, ...]
    size: int


def upload_of(run: Run, source: InputFile) -> Upload:
    """Return the upload of an input of this machine as it is."""
    return Upload(place_of(run, source), Path(str(source.path)), source.size)

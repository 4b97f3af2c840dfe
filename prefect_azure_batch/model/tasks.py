"""What is to be done, as data: inputs, and the batch tasks made of them; it holds no secret."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

WordCounts = list[tuple[str, int]]
"""Words and how often each occurs, the most frequent first."""

TOTAL_NAME = "all-inputs.txt"
"""Output of the total over all inputs; no output of an input can have this name."""


@dataclass(frozen=True, slots=True)
class BlobPlace:
    """A blob of the storage account.

    Attributes:
        container: its container.
        name: its name there, folders included.
    """

    container: str
    name: str


@dataclass(frozen=True, slots=True)
class InputFile:
    """A text to count, on this machine or in Blob Storage already.

    Attributes:
        name: its name for people, as blob and on the node; distinct, letter case aside.
        size: bytes.
        path: where it is on this machine, a string to keep thousands small; None for a blob.
        blob: where it is in Blob Storage; None for a file of this machine.
        is_gzip: whether it is known to be compressed, so that no part of it can be read alone.
        version: a blob's ETag: another one means other content.
    """

    name: str
    size: int
    path: str | None = None
    blob: BlobPlace | None = None
    is_gzip: bool = False
    version: str = ""

    @property
    def output_name(self) -> str:
        """The file that the node program makes of it."""
        return output_name_of(self.name)


def output_name_of(input_name: str) -> str:
    """Return the file that the node program makes of an input."""
    stem, extension = os.path.splitext(input_name)  # noqa: PTH122 - as the node program cuts
    return f"{stem}_OUTPUT{extension}"


@dataclass(frozen=True, slots=True)
class NodeFile:
    """A blob that the service puts into a batch task's working directory.

    Attributes:
        blob: which one.
        file_path: its place in the working directory.
    """

    blob: BlobPlace
    file_path: str


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A batch task before it is sent: what it reads, runs and leaves.

    Attributes:
        id: the batch task's id, distinct within the job.
        inputs: names of the inputs that it works on, for people.
        arguments: of the node program.
        files: what it finds in its working directory.
        outputs: blobs of the output container that are there after a success.
        results: those of the outputs that are downloaded: all but what only reducers read.
        is_bundle: whether its one result is an archive of results and exit records.
        url_of: the blob whose read URL stands in `TOP_WORDS_INPUT_URL`, for byte ranges.
    """

    id: str
    inputs: tuple[str, ...]
    arguments: tuple[str, ...]
    files: tuple[NodeFile, ...]
    outputs: tuple[str, ...]
    results: tuple[str, ...]
    is_bundle: bool = False
    url_of: BlobPlace | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a batch task ended.

    Attributes:
        batch_task_id: which one.
        succeeded: what the service calls its result, and an exit code of 0.
        exit_code: of the last try; None if the program never ran.
        category: the failure's, lower case: `usererror`, `servererror`; empty after a success.
        code: the failure's, such as `FailureExitCode`; empty after a success.
        message: the failure's, without signatures; empty after a success.
        node_id: where it ran last, empty if nowhere.
        num_retries: how often Batch ran the node program again after it failed.
        num_requeues: how often Batch ran it again because its node was lost.
        run_time_s: seconds from the start to the end of the last try.
    """

    batch_task_id: str
    succeeded: bool
    exit_code: int | None = None
    category: str = ""
    code: str = ""
    message: str = ""
    node_id: str = ""
    num_retries: int = 0
    num_requeues: int = 0
    run_time_s: float = 0.0

    @property
    def reason(self) -> str:
        """Code and message of the failure, empty after a success."""
        return ": ".join(filter(None, (self.code, self.message)))


@dataclass(frozen=True, slots=True)
class Failure:
    """A batch task that failed, or inputs of a bundle that did.

    Attributes:
        inputs: what has no result for it.
        ending: how the batch task ended; for an input of a bundle, its own exit code and reason.
        last_line: of stderr, without signatures; empty if there is none.
    """

    inputs: tuple[str, ...]
    ending: Ending
    last_line: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """What a program of the user's own made of an input.

    Attributes:
        path: where it is on this machine.
        size: bytes.
    """

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Result:
    """What a run found.

    Attributes:
        words: by the input's name, in the order of the inputs; empty if only a plan was asked for,
            or a program of the user's own was run.
        total: of all inputs together; None unless it was asked for.
        outputs: of a program of the user's own, by the input's name, in the order of the inputs.
        plan: if only a plan was asked for: what a run would create, by title.
    """

    words: dict[str, WordCounts]
    total: WordCounts | None = None
    outputs: Mapping[str, Output] = field(default_factory=dict)
    plan: Mapping[str, str] = field(default_factory=dict)

    @property
    def num_inputs(self) -> int:
        """How many inputs it is of."""
        return len(self.words) + len(self.outputs)

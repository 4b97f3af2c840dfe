"""What the engine runs: the one thing that it knows of programs, files and results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

from prefect_azure_batch.errors import OutputDamaged
from prefect_azure_batch.model.result import ExitRecord, ResultTables
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.tasks import InputFile, Level, PlannedTask, Upload, upload_of
from prefect_azure_batch.settings import PoolSettings

ResultT_co = TypeVar("ResultT_co", bound=ResultTables, covariant=True)


class Workload(Protocol[ResultT_co]):
    """One kind of work over many inputs; subclass it, and override what differs.

    A workload is plain data: the engine asks it, it calls no service. Equal inputs and settings
    must give equal plans, so that a repeated run finds its own batch tasks and outputs again.

    Attributes:
        name: of the work, for names of artifacts, such as `top-words`.
        output_url_variable: environment variable of all batch tasks that holds the write-only SAS
            URL of the output container; None: the service uploads what the plan says.
        input_kind: what its inputs are, for errors, such as `text file`.
        head_bytes: how many first bytes of an input it is shown at most; of a blob fewer.
    """

    name: ClassVar[str] = "workload"
    output_url_variable: ClassVar[str | None] = None
    input_kind: ClassVar[str] = "file"
    head_bytes: ClassVar[int] = 8192

    def check(self) -> None:
        """Refuse what no node could run, before anything is created.

        Raises:
            ConfigurationError: names the setting to change.
        """
        # An empty body would be abstract to type checkers.
        return None  # noqa: RET501

    def refusal(self, head: bytes) -> str:  # noqa: ARG002 - a default
        """Return why an input that begins with these bytes cannot be worked on; empty: it can.

        Args:
            head: its first bytes, `head_bytes` at most.

        Returns:
            The end of a sentence about the input, such as `is not a table: ...`.
        """
        return ""

    def blobs_to_examine(self, blobs: Sequence[InputFile]) -> Sequence[InputFile]:  # noqa: ARG002 - a default
        """Return the blobs whose first bytes `refusal` must see: each is a call to the service."""
        return ()

    def is_reserved(self, name: str) -> bool:  # noqa: ARG002 - a default
        """Tell whether no input may have this name in the run."""
        return False

    def node_files(self, run: Run) -> Sequence[Upload]:  # noqa: ARG002 - a default
        """Return what every node gets, as blobs of the run's application container."""
        return ()

    def set_up(self, folder: str) -> Sequence[str]:  # noqa: ARG002 - a default
        """Return the commands that put the node files in place, once for each node.

        Args:
            folder: of the node, shared by all its batch tasks, quoted for bash; it exists.
        """
        return ()

    def plan(self, run: Run, inputs: Sequence[InputFile], pool: PoolSettings) -> Sequence[Level]:
        """Plan the batch tasks, level by level; at least one level.

        Args:
            run: names the containers.
            inputs: what is worked on.
            pool: how much can run at once.
        """
        raise NotImplementedError

    def plan_rows(self, inputs: Sequence[InputFile]) -> Mapping[str, str]:  # noqa: ARG002 - a default
        """Return what the plan says of this work beside what it says of every other."""
        return {}

    def uploads(self, run: Run, inputs: Sequence[InputFile], level: Level) -> Sequence[Upload]:  # noqa: ARG002 - a default
        """Return what the first level reads and is on this machine: each input as it is.

        Args:
            run: names the containers.
            inputs: what is worked on; those in Blob Storage are there already.
            level: the batch tasks that read inputs.
        """
        return [upload_of(run, source) for source in inputs if source.path]

    def commands(self, planned: PlannedTask, folder: str) -> Sequence[str]:
        """Return the bash commands of a batch task; the first that fails ends it.

        Args:
            planned: the batch task; its arguments must be quoted.
            folder: of the node, where `set_up` has put the node files, quoted for bash.
        """
        raise NotImplementedError

    def trusts(self, size: int, md5: bytes) -> bool:  # noqa: ARG002 - a default
        """Tell whether an output that is there is whole.

        Args:
            size: bytes.
            md5: digest that the service has for it; empty if it has none.
        """
        return True

    def unpack(self, planned: PlannedTask, archive: Path, folder: Path) -> Sequence[ExitRecord]:  # noqa: ARG002 - a default
        """Write the files of a batch task's archive, its `unpacks_to`, into a folder.

        Args:
            planned: a batch task with `unpacks_to`.
            archive: its one result.
            folder: an empty one, from which the files are moved into the output folder; those of
                inputs that failed must not be there afterwards.

        Returns:
            How each input ended.

        Raises:
            OutputDamaged: it is not such an archive.
        """
        raise OutputDamaged("this workload has no archives")

    def result(
        self, folder: Path, inputs: Sequence[InputFile], levels: Sequence[Level]
    ) -> ResultT_co:
        """Return what was found, when all results are in the folder.

        Args:
            folder: where they are.
            inputs: what was worked on.
            levels: the batch tasks.
        """
        raise NotImplementedError

    def fingerprint(self, levels: Sequence[Level]) -> bytes:
        """Return what outputs depend on, beside the inputs and the names in the plan.

        Outputs of an earlier attempt with another fingerprint are made again.

        Raises:
            ConfigurationError: a file of the program cannot be read.
        """
        raise NotImplementedError

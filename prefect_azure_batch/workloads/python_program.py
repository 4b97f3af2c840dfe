"""A Python program of the user's own, run once for each input.

It is never given a SAS URL: Batch brings its input and takes its output away.
"""

import hashlib
import re
import shlex
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.model.names import output_name_of, safe_name
from prefect_azure_batch.model.result import Outputs, outputs_of
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.tasks import (
    BlobPlace,
    InputFile,
    Level,
    NodeFile,
    NodeOutput,
    PlannedTask,
    Upload,
    place_of,
)
from prefect_azure_batch.model.workload import Workload
from prefect_azure_batch.paths import local_path
from prefect_azure_batch.settings import PoolSettings

# Apart from what the program itself puts into its working directory.
INPUT_FOLDER = "input"
OUTPUT_FOLDER = "output"
# What Batch uploads is named by a pattern, in which an output's own name could mean another file.
UPLOADED = "uploaded-output"
NO_OUTPUT_EXIT_CODE = 74
"""Of a batch task whose program exited 0 and wrote no output: EX_IOERR."""
# As they are quoted for bash: the whole command line can have 128 KiB at most.
MOST_ARGUMENT_BYTES = 8192
# NUL, and what stands for bytes that are not UTF-8.
UNSENDABLE = re.compile("[\0\ud800-\udfff]")
# A file name has 255 bytes at most.
SUFFIX = re.compile(r"(?=.{2,32}$)(\.[A-Za-z0-9_+-]+)+")
PLACEHOLDER = re.compile(r"\{[a-z_.]+\}")


@dataclass(frozen=True)
class PythonProgram(Workload[Outputs]):
    """A Python file that each batch task runs as `python3 PROGRAM [ARG ...] INPUT OUTPUT`.

    Attributes:
        program: its path on this machine, relative to the working directory.
        arguments: given to it as they are, before INPUT and OUTPUT; no secrets: they are shown.
        suffix: what its outputs end with; None: as their inputs do.
    """

    name: ClassVar[str] = "batch-map"

    program: str
    arguments: tuple[str, ...] = ()
    suffix: str | None = None

    @classmethod
    def from_command(cls, command: str, suffix: str | None) -> Self:
        """Return the workload of a command such as `fit.py --fast`, split as a shell splits it.

        Raises:
            ConfigurationError: it cannot be split, or names no program.
        """
        try:
            parts, reason = shlex.split(command), "it is empty"
        except ValueError as error:
            parts, reason = [], str(error)
        if not parts:
            raise ConfigurationError(
                f"command {command!r} is not a program and its arguments ({reason}): "
                "write it as for a shell, such as 'fit.py --fast'"
            )
        if found := PLACEHOLDER.search(command):
            raise ConfigurationError(
                f"command {command!r}: {found[0]} is not supported: input and output are given to "
                "the program as its last two arguments"
            )
        return cls(parts[0], tuple(parts[1:]), suffix)

    def check(self) -> None:
        """Compile the program, and check arguments and suffix.

        Raises:
            ConfigurationError: there is no such file, or no node could run it.
        """
        self._check_suffix_and_arguments()
        path = self._path
        if path.suffix != ".py" or safe_name(path.name) != path.name:
            raise ConfigurationError(
                f"program {path.name!r}: its name must end with .py and hold no control "
                "characters, backslashes or more than 200 bytes: rename it"
            )
        try:
            # A warning is its author's affair, and the nodes may have another Python.
            with warnings.catch_warnings(action="ignore"):
                compile(self._code(), str(path), "exec")
        except (SyntaxError, ValueError) as error:
            raise ConfigurationError(f"program {path.name!r} does not compile: {error}") from error

    def _check_suffix_and_arguments(self) -> None:
        if self.suffix is not None and not SUFFIX.fullmatch(self.suffix):
            raise ConfigurationError(
                f"output_suffix {self.suffix!r} is not a suffix: write it like .json, "
                "with letters, digits, _, + and -"
            )
        if any(map(UNSENDABLE.search, self.arguments)):
            raise ConfigurationError(
                "the program's arguments must be UTF-8 without NUL: nothing else can be sent"
            )
        num_bytes = len(shlex.quote(shlex.join(self.arguments)).encode())
        if num_bytes > MOST_ARGUMENT_BYTES:
            raise ConfigurationError(
                f"the program's arguments have {num_bytes} bytes, quoted for bash, "
                f"{MOST_ARGUMENT_BYTES} at most: put them into a file that "
                "pool.start_task_command brings"
            )

    @property
    def _path(self) -> Path:
        path = Path(local_path(self.program, "program")).absolute()
        if not path.is_file():
            raise ConfigurationError(f"program {str(path)!r} is not a file: name a Python file")
        return path

    def _code(self) -> bytes:
        try:
            return self._path.read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"program {self.program!r} is unreadable: {error.strerror}"
            ) from error

    def node_files(self, run: Run) -> Sequence[Upload]:
        """Return the program, under its own name."""
        path = self._path
        place = BlobPlace(run.application_container, path.name)
        return [Upload(place, path, path.stat().st_size)]

    def set_up(self, folder: str) -> Sequence[str]:
        """Return the command that copies the program, as it is."""
        return [f"cp -p -- {shlex.quote(self._path.name)} {folder}/"]

    def plan(self, run: Run, inputs: Sequence[InputFile], pool: PoolSettings) -> Sequence[Level]:  # noqa: ARG002 - one batch task for each input, however many run at once
        """Plan a batch task for each input."""
        return [[self._planned(run, number, source) for number, source in enumerate(inputs)]]

    def _planned(self, run: Run, number: int, source: InputFile) -> PlannedTask:
        path, output = f"{INPUT_FOLDER}/{source.name}", output_name_of(source.name, self.suffix)
        return PlannedTask(
            id=f"task{number}",
            inputs=(source.name,),
            arguments=(*self.arguments, path, f"{OUTPUT_FOLDER}/{output}"),
            files=(NodeFile(place_of(run, source), path),),
            outputs=(output,),
            results=(output,),
            uploads=(NodeOutput(UPLOADED, output),),
        )

    def plan_rows(self, inputs: Sequence[InputFile]) -> Mapping[str, str]:  # noqa: ARG002 - the same for all
        """Return the command as it is run for each input."""
        command = (Path(self.program).name, *self.arguments, "INPUT", "OUTPUT")
        return {"program": shlex.join(command)}

    def commands(self, planned: PlannedTask, folder: str) -> Sequence[str]:
        """Return the program's command, and a look whether it wrote its output."""
        name = planned.arguments[-1]
        output, output_folder = shlex.quote(name), shlex.quote(name.rpartition("/")[0])
        reason = f"the program exited 0 without writing its output {name}"
        fails = f"printf '%s\\n' {shlex.quote(reason)} >&2; exit {NO_OUTPUT_EXIT_CODE}"
        program = f"{folder}/{shlex.quote(Path(self.program).name)}"
        return [
            # What a failed try has left would pass for the output of the next one.
            f"rm -rf -- {OUTPUT_FOLDER}",
            f"mkdir -p -- {output_folder}",
            f"python3 {program} {shlex.join(planned.arguments)}",
            f"[ -f {output} ] || {{ {fails}; }}",
            # Into a folder of this name, the output would be moved without an error.
            f"rm -rf -- {UPLOADED}",
            f"mv -- {output} {UPLOADED}",
        ]

    def result(self, folder: Path, inputs: Sequence[InputFile], levels: Sequence[Level]) -> Outputs:
        """Return the output of each input."""
        return outputs_of(folder, inputs, levels[0])

    def fingerprint(self, levels: Sequence[Level]) -> bytes:
        """Return a digest of the program and of all arguments."""
        digest = hashlib.sha256(self._code())
        for planned in levels[0]:
            digest.update(repr(planned.arguments).encode())
        return digest.digest()

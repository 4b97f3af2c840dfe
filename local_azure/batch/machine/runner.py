"""Runs one command on a node: files in, a process of its own session, files out.

The only place of the emulator that starts processes of tasks. A run that is cancelled kills the
whole process group and waits until it is gone.
"""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from local_azure.batch.controls.clock import Clock
from local_azure.batch.machine import transfer
from local_azure.batch.machine.background import Threads, in_thread
from local_azure.batch.machine.command_lines import split_command
from local_azure.batch.machine.folders import Folders
from local_azure.batch.machine.leftover_processes import kill_leftovers
from local_azure.batch.machine.output_patterns import matching_files
from local_azure.batch.wire.failures import exit_code_failure, failure, task_ended
from local_azure.batch.wire.formats import Json, without_none

ResultT = TypeVar("ResultT")

_DEFAULT_FILE_MODE = "0770"
_TRANSFERS = 32
_DOWNLOAD_CODES = {
    "denied": "BlobAccessDenied",
    "missing": "BlobNotFound",
    "other": "BlobDownloadMiscError",
}
_UPLOAD_CODES = {
    "denied": "FileUploadAccessDenied",
    "missing": "FileUploadContainerNotFound",
    "other": "FileUploadMiscError",
}


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command with its surroundings.

    Attributes:
        directory: gets stdout.txt, stderr.txt and the working directory `wd`.
        limit_s: seconds of emulated time after which the command is killed; None: no limit.
    """

    directory: Path
    command_line: str
    environment: dict[str, str] = field(repr=False)
    resource_files: list[Json] = field(default_factory=list, repr=False)
    output_files: list[Json] = field(default_factory=list, repr=False)
    limit_s: float | None = None

    @property
    def working_directory(self) -> Path:
        """Where the command runs."""
        return self.directory / "wd"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a command ended; without an exit code it did not start, or was killed at its limit."""

    exit_code: int | None = None
    failure: Json | None = None
    retryable: bool = False

    def end_of(self, info: Json, time: str) -> Json:
        """Write the end of a start, preparation or release task into what is known of it.

        Args:
            info: its execution info on the wire so far.
            time: when it ended, as on the wire.
        """
        result = "success" if self.failure is None else "failure"
        ended = {"exitCode": self.exit_code, "failureInfo": self.failure}
        return without_none(
            info | {"state": "completed", "endTime": time, "result": result} | ended
        )


class Runner:
    """Runs commands; the number of transfers at once is limited."""

    def __init__(self, clock: Clock, folders: Folders) -> None:
        self._clock = clock
        self._folders = folders
        self._threads = Threads(_TRANSFERS)

    async def prepare(self, command: Command) -> Json | None:
        """Create the folders and download the resource files; return a failure, or None."""
        try:
            self._folders.remove(command.directory)
            command.working_directory.mkdir(parents=True)
            for resource in command.resource_files:
                await self._transfer(_download, command, resource)
        except transfer.TransferError as error:
            message = "One of the specified Azure Blob(s) could not be read"
            details = ("Message", error.message)
            return failure(_DOWNLOAD_CODES[error.kind], message, details)
        except OSError as error:
            details = ("Message", f"{error.strerror}: {error.filename}")
            return failure("ResourceFileWriteFailed", "A resource file was not written", details)
        return None

    async def carry_out(self, command: Command) -> Outcome:
        """Prepare and run a command that has no output files."""
        failed = await self.prepare(command)
        return Outcome(failure=failed) if failed is not None else await self.run(command)

    async def run(self, command: Command) -> Outcome:
        """Run the command to its end or its limit."""
        try:
            process = await self._started(command)
        except FileNotFoundError as error:
            message = "The specified command program is not found"
            details = ("Message", f"{error.strerror}: {error.filename}")
            return Outcome(failure=failure("CommandProgramNotFound", message, details))
        except (OSError, ValueError) as error:
            details = ("Message", str(error))
            text = "The command could not be launched"
            return Outcome(failure=failure("CommandLaunchFailed", text, details))
        try:
            in_time = await self._wait(process, command.limit_s)
        finally:
            await _kill(process)
        code = _exit_code(process)
        if not in_time:
            return Outcome(exit_code=code, failure=task_ended("at its maxWallClockTime"))
        if code != 0:
            return Outcome(exit_code=code, failure=exit_code_failure(code), retryable=True)
        return Outcome(exit_code=0)

    async def end_processes(self, node_root: Path) -> None:
        """Kill whatever still runs on a node, processes that have left their group included."""
        await in_thread(lambda: kill_leftovers(node_root))

    async def _started(self, command: Command) -> Process:
        """Start the command; if that is cancelled, kill the whole of what did start."""
        starting = asyncio.ensure_future(self._start(command))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait({starting})
            if starting.exception() is None:
                await _kill(starting.result())
            raise

    async def _start(self, command: Command) -> Process:
        arguments = await in_thread(lambda: split_command(command.command_line))
        with (
            # New ones: to open what others may have put there could take for ever.
            (command.directory / "stdout.txt").open("xb") as stdout,
            (command.directory / "stderr.txt").open("xb") as stderr,
        ):
            return await asyncio.create_subprocess_exec(
                *arguments,
                cwd=command.working_directory,
                env=command.environment,
                stdin=DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    async def _wait(self, process: Process, limit_s: float | None) -> bool:
        """Wait for the end of a process; False: the limit came first."""
        ended = asyncio.ensure_future(process.wait())
        if limit_s is None:
            await ended
            return True
        limit = asyncio.ensure_future(self._clock.sleep(limit_s))
        try:
            done, _ = await asyncio.wait({ended, limit}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            limit.cancel()
        return ended in done

    async def upload(self, command: Command, exit_code: int | None) -> Json | None:
        """Upload the output files whose condition holds; return a failure, or None."""
        conditions = {"taskcompletion", "tasksuccess" if exit_code == 0 else "taskfailure"}
        for output in command.output_files:
            if output["uploadOptions"]["uploadCondition"] not in conditions:
                continue
            failed = await self._transfer(_upload, command, output)
            if failed is not None:
                return failed
        return None

    async def _transfer(
        self,
        function: Callable[[Command, Json, transfer.Halt], ResultT],
        command: Command,
        wanted: Json,
    ) -> ResultT:
        """Call a function of transfers in a thread; if that is cancelled, it changes no more."""
        halt = transfer.Halt()
        try:
            return await self._threads.run(lambda: function(command, wanted, halt))
        finally:
            await halt.now()


def _download(command: Command, resource: Json, halt: transfer.Halt) -> None:
    root, path = command.working_directory, resource.get("filePath", "")
    if "httpUrl" in resource:
        files = {resource["httpUrl"]: root / path}
    else:
        container = resource["storageContainerUrl"]
        names = transfer.list_blobs(container, resource.get("blobPrefix", ""), halt)
        files = {transfer.blob_url(container, name): root / path / name for name in names}
    mode = int(resource.get("fileMode", _DEFAULT_FILE_MODE), 8)
    for url, target in files.items():
        # Not Path.resolve: it raises where links go round in a circle.
        if not Path(os.path.realpath(target)).is_relative_to(os.path.realpath(root)):
            raise PermissionError(1, "outside the working directory", str(target))
        transfer.download(url, target, mode, halt)


def _upload(command: Command, output: Json, halt: transfer.Halt) -> Json | None:
    destination = output["destination"]["container"]
    headers = {item["name"]: item.get("value", "") for item in destination.get("uploadHeaders", [])}
    files = matching_files(
        command.working_directory,
        output["filePattern"],
        destination.get("path"),
        command.environment,
        halt,
    )
    if files is None:
        details = ("FilePattern", output["filePattern"])
        return failure("FileUploadMiscError", "No file matched the pattern", details)
    try:
        for path, name in files.items():
            transfer.upload(path, destination["containerUrl"], name, headers, halt)
    except transfer.TransferError as error:
        details = ("Message", error.message)
        return failure(_UPLOAD_CODES[error.kind], "An output file was not uploaded", details)
    except OSError as error:
        details = ("Message", f"{error.strerror}: {error.filename}")
        return failure("FileUploadMiscError", "An output file was not read", details)
    return None


async def _kill(process: Process) -> None:
    """Kill what is left of the process's group and wait until the process is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _exit_code(process: Process) -> int:
    """Return the exit code as a shell does: 128 and the signal's number for a killed process."""
    code = process.returncode
    if code is None:
        raise RuntimeError(f"process {process.pid} has not ended")
    return code if code >= 0 else 128 - code

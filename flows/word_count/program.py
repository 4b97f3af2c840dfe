"""The word counter as the nodes get it: one archive of its script, modules and accelerators."""

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path

from prefect_azure_batch import BlobPlace, ConfigurationError, Run, Upload

PROGRAMS = Path(__file__).resolve().parents[2] / "tasks_node"
SCRIPT = "top_words.py"
MODULES = "word_counter"
# On a node, the folder that the archive is unpacked to.
FOLDER = "top_words"
ARCHIVE = f"{FOLDER}.tar"
ELF_MACHINES = {"x86_64": 0x3E, "aarch64": 0xB7}
"""Kinds of nodes that there can be an accelerator for, and what such an ELF file has at byte 18."""


@dataclass(frozen=True, slots=True)
class ProgramFile:
    """A file of the word counter.

    Attributes:
        name: its place in the archive.
        path: where it is on this machine.
    """

    name: str
    path: str


def program_files() -> list[ProgramFile]:
    """Return the files of the word counter: script, modules, and the accelerators that are built.

    Raises:
        ConfigurationError: the script is not there.
    """
    script = PROGRAMS / SCRIPT
    if not script.is_file():
        raise ConfigurationError(f"the word counter {str(script)!r} is not there: check out again")
    modules = sorted((PROGRAMS / MODULES).glob("*.py"))
    libraries = (PROGRAMS / f"{FOLDER}-{machine}.so" for machine in ELF_MACHINES)
    paths = [script, *modules, *(path for path in libraries if path.is_file())]
    return [ProgramFile(path.relative_to(PROGRAMS).as_posix(), str(path)) for path in paths]


def program_upload(run: Run) -> Upload:
    """Return the archive as a blob of the run's application container."""
    files = tuple(program_files())
    size = sum(Path(file.path).stat().st_size for file in files)
    return Upload(BlobPlace(run.application_container, ARCHIVE), files, size)


def program_digest() -> bytes:
    """Return a digest of the word counter's code; accelerators only make it faster.

    Raises:
        ConfigurationError: a file of it cannot be read.
    """
    digest = hashlib.sha256()
    for file in program_files():
        if not file.name.endswith(".py"):
            continue
        digest.update(file.name.encode() + b"\0" + hashlib.sha256(_read(file)).digest())
    return digest.digest()


def check_program() -> None:
    """Compile the word counter, and see what machine its accelerators are for.

    Raises:
        ConfigurationError: no node could run it.
    """
    for file in program_files():
        if file.name.endswith(".py"):
            _check_source(file)
        else:
            check_accelerator(Path(file.path))


def _check_source(file: ProgramFile) -> None:
    try:
        # The nodes may have another Python, which does not warn.
        with warnings.catch_warnings(action="ignore"):
            compile(_read(file), file.path, "exec")
    except (SyntaxError, ValueError) as error:
        raise ConfigurationError(f"the word counter does not compile: {error}") from error


def _read(file: ProgramFile) -> bytes:
    try:
        return Path(file.path).read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"the word counter {file.path!r} is unreadable: {error.strerror}"
        ) from error


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
            f"{path.name} beside the word counter is not a library for {machine}: "
            "build it again (make accelerator), or delete it"
        )

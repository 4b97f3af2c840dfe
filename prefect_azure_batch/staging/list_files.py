"""Long lists of inputs: Prefect's server takes 512 KiB of parameters, so they are in files.

A file of ours is named by the digest of its content, and is never changed: a run that is resumed or
retried finds the list that it had. It stays until no run can need it any more.
"""

import codecs
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from prefect_azure_batch.errors import BadInput
from prefect_azure_batch.model.list_file import ListFile

# More is neither read on a page, nor edited in a form.
MOST_PARAMETER_BYTES = 64 * 1024
# Nothing that a run leaves is kept longer.
KEEP_S = 181 * 24 * 3600
STANDARD_INPUT = "-"


def list_file(names: Iterable[str]) -> ListFile:
    """Write names of inputs into a file of the user's cache folder, as a parameter for a flow.

    Args:
        names: files, folders, globs and `az://container/prefix`.

    Raises:
        BadInput: a name cannot be one, or no folder takes the file.
    """
    listed = list(names)
    content = b"".join(_encoded(name) + b"\0" for name in listed)
    digest = hashlib.sha256(content).hexdigest()
    return ListFile(path=str(_stored(content, digest)), count=len(listed), sha256=digest)


def as_parameter(names: Sequence[str]) -> list[str] | ListFile:
    """Return names of inputs as a parameter: as they are, or in a file if they are too many."""
    try:
        num_bytes = len(json.dumps(list(names), ensure_ascii=False).encode())
    except UnicodeEncodeError:
        # A file name that is not UTF-8, which no parameter can have.
        return list_file(names)
    return list(names) if num_bytes <= MOST_PARAMETER_BYTES else list_file(names)


def inputs_of(given: Sequence[str] | ListFile) -> Sequence[str]:
    """Return the names that a parameter stands for.

    Raises:
        BadInput: the file is gone, or its content is another one.
    """
    if not isinstance(given, ListFile):
        return given
    again = "give the inputs again, as they were (the command line does so by itself)"
    try:
        content = Path(given.path).read_bytes()
    except OSError as error:
        raise BadInput(
            f"the list of {given} {given.path!r} cannot be read on this machine: "
            f"{error.strerror}; {again}"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    names = [os.fsdecode(name) for name in content.split(b"\0")[:-1]]
    if found != given.sha256 or len(names) != given.count:
        raise BadInput(
            f"the list of {given} {given.path!r} has changed: it has {len(names):,} names and "
            f"SHA-256 {found}, not {given.sha256}; {again}"
        )
    # It is as if it had been written now.
    with suppress(OSError):
        os.utime(given.path)
    return names


def title_of(given: object) -> str:
    """Return inputs for the name of a flow run; a list in a file by its number."""
    if isinstance(given, Mapping):
        given = ListFile.model_validate(given)
    return ", ".join(given) if isinstance(given, list | tuple) else str(given)


def names_from(source: str) -> list[str]:
    """Read names of inputs from a file, or standard input.

    Args:
        source: a path, or `-`. What has a NUL is separated by NULs, as by `find -print0`;
            everything else has a name a line.

    Raises:
        BadInput: it cannot be read, or names nothing.
    """
    where = "standard input" if source == STANDARD_INPUT else repr(source)
    try:
        is_file = source != STANDARD_INPUT
        content = Path(source).read_bytes() if is_file else sys.stdin.buffer.read()
    except OSError as error:
        raise BadInput(f"the list of inputs {where} cannot be read: {error.strerror}") from error
    found = [name for name in _separated(content) if name]
    if not found:
        raise BadInput(f"the list of inputs {where} is empty: one name a line, or NULs after them")
    return found


def _separated(content: bytes) -> Iterable[str]:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        # As PowerShell writes what is redirected to a file.
        return content.decode("utf-16", errors="replace").splitlines()
    content = content.removeprefix(codecs.BOM_UTF8)
    if b"\0" in content:
        return map(os.fsdecode, content.split(b"\0"))
    return (os.fsdecode(line.removesuffix(b"\r")) for line in content.split(b"\n"))


def _encoded(name: str) -> bytes:
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError as error:
        raise BadInput(f"input {name!r} cannot be the name of a file: {error.reason}") from error
    if b"\0" in encoded:
        raise BadInput(f"input {name!r} holds a NUL: no file has such a name")
    return encoded


def _stored(content: bytes, digest: str) -> Path:
    """Write a list into the first folder that takes it; one that is there already stays."""
    reasons = []
    for folder in _folders():
        path = folder / f"{digest}.list"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _delete_old(folder)
            _write(path, content)
        except OSError as error:
            reasons.append(f"{str(folder)!r}: {error.strerror}")
            continue
        return path
    raise BadInput(
        f"no folder takes the list of inputs ({'; '.join(reasons)}): set XDG_CACHE_HOME to one "
        "that can be written to"
    )


def _folders() -> list[Path]:
    """Return where lists may be: the user's cache folder, and else one for temporary files."""
    temporary = Path(tempfile.gettempdir()) / f"prefect-azure-batch-{os.getuid()}" / "lists"
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # By the XDG specification a relative path counts as none.
    if given.is_absolute():
        return [given / "prefect-azure-batch" / "lists", temporary]
    try:
        return [Path.home() / ".cache" / "prefect-azure-batch" / "lists", temporary]
    except RuntimeError:
        return [temporary]


def _write(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.replace(file.name, path)  # noqa: PTH105 - it is a name
        except BaseException:
            os.unlink(file.name)  # noqa: PTH108 - it is a name
            raise


def _delete_old(folder: Path) -> None:
    oldest = time.time() - KEEP_S
    for path in folder.iterdir():
        with suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()

"""What inputs are called in a run: by themselves and by what was given, never by other inputs."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from prefect_azure_batch.errors import BadInput, ConfigurationError
from prefect_azure_batch.model.names import safe_path, unreserved
from prefect_azure_batch.model.tasks import BLOB_SCHEME, BlobPlace, InputFile
from prefect_azure_batch.paths import local_path, shown

MOST_CLASHES = 3
OTHER_WAYS = "or run them apart, each with an output_dir of its own"


class Root:
    """The folder to which names are relative, if one was asked for.

    Args:
        root: a folder of this machine, or `az://container/folder`; None: names are relative to
            what was given.

    Raises:
        ConfigurationError: there is no such folder.
    """

    def __init__(self, root: str | None = None) -> None:
        self._given = root
        self._folder = self._blobs = ""
        if root is not None and root.startswith(BLOB_SCHEME):
            self._blobs = f"{root.removeprefix(BLOB_SCHEME).rstrip('/')}/"
        elif root is not None:
            path = local_path(root, "root")
            if not os.path.isdir(path):  # noqa: PTH112 - strings, as everywhere here
                raise ConfigurationError(f"root {root!r} is not a folder: name one (--root)")
            self._folder = os.path.abspath(path)  # noqa: PTH100 - keeps links

    def name_of(self, path: str, below: str) -> str:
        """Return the name of a file.

        Args:
            path: of this machine.
            below: its end, below what was given.

        Raises:
            BadInput: it is not below the root.
        """
        if not self._folder:
            return safe_path(below)
        whole = os.path.abspath(path)  # noqa: PTH100 - keeps links
        found = _below(self._folder, whole) or _below(
            os.path.realpath(self._folder), os.path.realpath(whole)
        )
        return safe_path(found or self._refused(shown(path)))

    def name_of_blob(self, place: BlobPlace, below: str) -> str:
        """Return the name of a blob.

        Args:
            place: where it is.
            below: its end, below the prefix.

        Raises:
            BadInput: it is not below the root.
        """
        path = f"{place.container}/{place.name}"
        if not self._blobs:
            return safe_path(below)
        found = path[len(self._blobs) :] if path.startswith(self._blobs) else ""
        return safe_path(found or self._refused(place.url))

    def _refused(self, source: str) -> str:
        raise BadInput(
            f"input {source!r} is not below the root {self._given!r}: name a folder that holds "
            "all inputs (--root)"
        )


def _below(folder: str, path: str) -> str:
    start = f"{folder.rstrip('/')}/"
    return path[len(start) :] if path.startswith(start) else ""


def named(sources: Sequence[InputFile], is_reserved: Callable[[str], bool]) -> list[InputFile]:
    """Return inputs with names that are distinct, and not those of something else.

    Raises:
        BadInput: two inputs have one name, or one input has two.
    """
    _check_each_once(sources)
    found = {
        source.path or source.blob: replace(source, name=unreserved(source.name, is_reserved))
        for source in reversed(sources)
    }
    inputs = [found[key] for key in dict.fromkeys(item.path or item.blob for item in sources)]
    _check_distinct(inputs)
    return inputs


def _check_each_once(sources: Sequence[InputFile]) -> None:
    names: dict[str | BlobPlace | None, str] = {}
    for source in sources:
        name = names.setdefault(source.path or source.blob, source.name)
        if name != source.name:
            raise BadInput(
                f"input {source.source!r} is given in two ways, and would have two outputs, of "
                f"{name!r} and of {source.name!r}: give it once, or name one folder to which all "
                f"names are relative: --root {_common_folder([source, source])} (root)"
            )


def _check_distinct(inputs: Sequence[InputFile]) -> None:
    first: dict[str, InputFile] = {}
    clashes = [
        (before, source)
        for source in inputs
        if (before := first.setdefault(source.name, source)) is not source
    ]
    if not clashes:
        return
    pairs = [
        f"{one.source!r} and {other.source!r} are both {one.name!r}"
        for one, other in clashes[:MOST_CLASHES]
    ]
    more = f"; and {len(clashes) - MOST_CLASHES} more" if len(clashes) > MOST_CLASHES else ""
    raise BadInput(
        f"inputs of one name would have one output: {'; '.join(pairs)}{more}; keep their folders "
        f"in the names by --root {_common_folder(clashes[0])} (root), {OTHER_WAYS}"
    )


def _common_folder(pair: Sequence[InputFile]) -> str:
    """Return a folder that holds both, as a suggestion."""
    if all(source.path for source in pair):
        paths = [os.path.dirname(str(source.path)) for source in pair]  # noqa: PTH120 - as above
        if paths[0] == paths[1]:
            return shown(os.path.dirname(paths[0]) if pair[0] is pair[1] else paths[0])  # noqa: PTH120
        return shown(os.path.commonpath(paths))
    containers = {source.blob.container if source.blob else "" for source in pair}
    return f"{BLOB_SCHEME}{containers.pop()}" if len(containers) == 1 else "DIR"

"""What a glob matches, as a shell has it; what cannot be looked into is said, and no link loops."""

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

from prefect_azure_batch.model.left_out import LeftOut
from prefect_azure_batch.paths import shown

MAGIC = re.compile(r"[*?[]")
ANY_DEPTH = "**"


def folder_of(pattern: str) -> str:
    """Return the part of a glob before its first wildcard, to its last slash; it may be empty."""
    wildcard = MAGIC.search(pattern)
    return pattern[: pattern.rfind("/", 0, wildcard.start()) + 1] if wildcard else ""


class Trail(NamedTuple):
    """A folder, and those that it is in: by device and number, so that links are seen through."""

    folder: tuple[int, int]
    above: "Trail | None"

    def holds(self, folder: tuple[int, int]) -> bool:
        """Tell whether a folder is one of them."""
        trail: Trail | None = self
        while trail and trail.folder != folder:
            trail = trail.above
        return trail is not None


class Glob:
    """One glob: what begins with a dot is matched by a dot only, and `**` also by no folder.

    Args:
        pattern: with at least one wildcard.

    Attributes:
        left_out: what could not be looked into; complete after `matches`.
    """

    def __init__(self, pattern: str) -> None:
        self.folder = folder_of(pattern)
        self._parts = [part for part in pattern[len(self.folder) :].split("/") if part]
        self._is_of_folders = pattern.endswith("/")
        self.left_out: list[LeftOut] = []

    def matches(self) -> list[str]:
        """Return files and folders, each once, sorted."""
        found = self._below(self.folder, self._parts)
        return [] if self._is_of_folders else sorted(set(found))

    @property
    def has_any_depth(self) -> bool:
        """Whether it goes down into folders by itself."""
        return ANY_DEPTH in self._parts

    def _below(self, folder: str, parts: list[str]) -> Iterator[str]:
        part, rest = parts[0], parts[1:]
        if part == ANY_DEPTH:
            for each in self._all_folders(folder):
                yield from self._below(each, rest or ["*"])
        elif not MAGIC.search(part):
            path = folder + part
            if rest and os.path.isdir(path):  # noqa: PTH112 - strings: a Path takes time per file
                yield from self._below(f"{path}/", rest)
            elif not rest and os.path.lexists(path):
                yield path
        else:
            for entry in self.entries(folder):
                if is_visible(entry.name, part) and fnmatchcase(entry.name, part):
                    if not rest:
                        yield folder + entry.name
                    elif self._is_folder(entry, folder):
                        yield from self._below(f"{folder}{entry.name}/", rest)

    def _all_folders(self, folder: str) -> Iterator[str]:
        """Yield a folder and all below it, those behind links too, but no folder within itself."""
        trail = _trail_to(folder)
        if trail is None:
            return
        waiting = [(folder, trail)]
        while waiting:
            path, trail = waiting.pop()
            yield path
            for entry in self.entries(path):
                if not is_visible(entry.name, "*") or not self._is_folder(entry, path):
                    continue
                status = entry.stat()
                number = (status.st_dev, status.st_ino)
                if trail.holds(number):
                    self._leave_out(path + entry.name, "is a link to a folder that it is in")
                else:
                    waiting.append((f"{path}{entry.name}/", Trail(number, trail)))

    def entries(self, folder: str) -> "list[os.DirEntry[str]]":
        """Return what is in a folder; nothing, and that is said, if nobody can know it."""
        try:
            with os.scandir(folder or ".") as entries:
                return list(entries)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._leave_out(folder or ".", f"cannot be looked into: {error.strerror}")
            return []

    def _is_folder(self, entry: "os.DirEntry[str]", folder: str) -> bool:
        try:
            return entry.is_dir()
        except PermissionError as error:
            self._leave_out(folder + entry.name, f"cannot be looked into: {error.strerror}")
        except OSError:
            # A link to itself, for one: it holds nothing.
            pass
        return False

    def _leave_out(self, path: str, reason: str) -> None:
        item = LeftOut(shown(path.rstrip("/") or path), reason)
        if item not in self.left_out:
            self.left_out.append(item)


def is_visible(name: str, pattern: str) -> bool:
    """Tell whether a pattern that matches everything would match a name as well."""
    return not name.startswith(".") or pattern.startswith(".")


def _trail_to(folder: str) -> Trail | None:
    """Return the trail of a folder from the root; None if it is not there."""
    path, numbers = os.path.realpath(folder or "."), list[tuple[int, int]]()
    trail: Trail | None = None
    while True:
        try:
            status = os.stat(path)  # noqa: PTH116 - as above
        except OSError:
            # One above it may be nobody's business.
            break
        numbers.append((status.st_dev, status.st_ino))
        parent = os.path.dirname(path)  # noqa: PTH120 - as above
        if parent == path:
            break
        path = parent
    for number in reversed(numbers):
        trail = Trail(number, trail)
    return trail

"""What an output folder is called: `output_dir`, with `{run}`, `{name}` and `{date}` in it."""

import re
from collections.abc import Mapping
from pathlib import Path

from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.model.names import safe_name
from prefect_azure_batch.paths import local_path

PLACEHOLDERS: Mapping[str, str] = {
    "run": "the run's name, tw-...",
    "name": "the flow run's name, made safe for a folder",
    "date": "the day of the run's start in UTC, such as 2026-11-29",
}
_PLACEHOLDER = re.compile(rf"\{{({'|'.join(PLACEHOLDERS)})\}}")
# Separators, and what other systems that share the folder do not take.
_FOREIGN = re.compile(r'[\x00-\x1f/\\<>:"|?*]|^[.~-]|[. ]\Z')


def placeholders_of(output_dir: str) -> frozenset[str]:
    """Return which placeholders the name of a folder has.

    Raises:
        ConfigurationError: it is empty or not a path, or has braces that are none of the
            placeholders.
    """
    if not output_dir.strip() or "\0" in output_dir:
        raise ConfigurationError(
            f"output_dir {output_dir!r} is not a folder's name: write one such as results"
        )
    local_path(output_dir, "output_dir")
    rest = _PLACEHOLDER.sub("", output_dir)
    if "{" in rest or "}" in rest:
        known = ", ".join(f"{{{name}}} ({what})" for name, what in PLACEHOLDERS.items())
        raise ConfigurationError(
            f"output_dir {output_dir!r} has braces that are not a placeholder: the placeholders "
            f"are {known}"
        )
    return frozenset(_PLACEHOLDER.findall(output_dir))


def folder_of(output_dir: str, meanings: Mapping[str, str]) -> Path:
    """Return the folder that is meant, absolute.

    Args:
        output_dir: as it was given; `placeholders_of` has found no fault with it.
        meanings: what the placeholders stand for.
    """
    path = local_path(output_dir, "output_dir")
    return Path(_PLACEHOLDER.sub(lambda match: meanings[match[1]], path)).absolute()


def known_folder(output_dir: str) -> Path | None:
    """Return the folder that is meant, absolute; None if only a run can tell: placeholders."""
    return None if placeholders_of(output_dir) else fixed_part(output_dir)


def fixed_part(output_dir: str) -> Path:
    """Return the folder above the first placeholder, absolute; all of it without one."""
    path = local_path(output_dir, "output_dir")
    found = _PLACEHOLDER.search(path)
    if found is None:
        return Path(path).absolute()
    # A letter keeps what is before the placeholder in the same part of the path.
    return Path(f"{path[: found.start()]}x").absolute().parent


def folder_word(name: str) -> str:
    """Return a name as that of a folder: what `{name}` stands for."""
    return safe_name(_FOREIGN.sub("_", name)) or "_"

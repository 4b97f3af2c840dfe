"""What an output folder is called: `output_dir`, with `{run}`, `{name}` and `{date}` in it."""

import re
from collections.abc import Mapping
from pathlib import Path

from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.model.names import safe_name

PLACEHOLDERS: Mapping[str, str] = {
    "run": "the run's name, tw-...",
    "name": "the flow run's name, made safe for a folder",
    "date": "the day of the run's start in UTC, such as 2026-11-29",
}
_PLACEHOLDER = re.compile(rf"\{{({'|'.join(PLACEHOLDERS)})\}}")
# Separators, and what other systems that share the folder do not take.
_FOREIGN = re.compile(r'[\x00-\x1f/\\<>:"|?*]|^[.~-]')


def placeholders_of(output_dir: str) -> frozenset[str]:
    """Return which placeholders the name of a folder has.

    Raises:
        ConfigurationError: it is empty, or has braces that are none of the placeholders.
    """
    if not output_dir.strip() or "\0" in output_dir:
        raise ConfigurationError(
            f"output_dir {output_dir!r} is not a folder's name: write one such as results"
        )
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
    return Path(_PLACEHOLDER.sub(lambda match: meanings[match[1]], output_dir)).absolute()


def fixed_part(output_dir: str) -> Path:
    """Return the folder above the first placeholder, absolute; all of it without one."""
    found = _PLACEHOLDER.search(output_dir)
    if found is None:
        return Path(output_dir).absolute()
    # A letter keeps what is before the placeholder in the same part of the path.
    return Path(f"{output_dir[: found.start()]}x").absolute().parent


def folder_word(name: str) -> str:
    """Return a name as that of a folder: what `{name}` stands for."""
    return safe_name(_FOREIGN.sub("_", name)) or "_"

"""Paths of this machine as people give them: `~` as a shell has it, and no URL taken for a path."""

import os
import re

from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.messages import without_sas

# `az:/x` is somebody's `az://x`; one letter is a drive, and no scheme has one.
# How Python has a byte of a path that is not UTF-8.
NOT_UTF_8 = re.compile("[\ud800-\udfff]")
URL = re.compile(r"(?i)(az:|[a-z][a-z0-9+.-]+:/)")


def local_path(text: str, setting: str) -> str:
    """Return a path of this machine as it was given, with `~` and `~user` as a shell expands them.

    Args:
        text: the path.
        setting: what it is for, such as `output_dir`, for errors.

    Raises:
        ConfigurationError: it is empty, or looks like a URL, and so would become a strange folder.
    """
    check_text(text, setting)
    given = without_sas(repr(text))
    if not text or "\0" in text:
        raise ConfigurationError(f"{setting} {given} is not a path: name a file or a folder")
    if URL.match(text):
        raise ConfigurationError(
            f"{setting} {given} looks like a URL: name a path of this machine (if it is one, "
            f"write './' before it){_advice(text, setting)}"
        )
    return os.path.expanduser(text)  # noqa: PTH111 - a Path would lose a final slash


def check_text(text: str, setting: str) -> None:
    """Check that a parameter can be sent: Prefect and the services take text only.

    Args:
        text: the parameter.
        setting: what it is for, for errors.

    Raises:
        ConfigurationError: it holds bytes that are not UTF-8.
    """
    if NOT_UTF_8.search(text):
        advice = ": rename it, or give its folder or a glob in quotes" if setting == "input" else ""
        raise ConfigurationError(f"{setting} '{shown(text)}' is not UTF-8{advice}")


def shown(path: str) -> str:
    r"""Return a path as text: bytes of it that are not UTF-8 as `\xe9`."""
    return NOT_UTF_8.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", path)


def _advice(text: str, setting: str) -> str:
    if setting == "input":
        wanted = "write az://container/prefix"
        return f"; for blobs of the storage account {wanted}, in small letters with two slashes"
    if text.lower().startswith("az:") and setting == "output_dir":
        return "; outputs cannot go to Blob Storage yet: upload them afterwards"
    return ""

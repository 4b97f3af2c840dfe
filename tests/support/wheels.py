"""Wheels of this repository's distributions, and empty environments to install them into."""

import re
import subprocess
import sys
from pathlib import Path

from tests.support.clone import ROOT, copy_files


def build_wheel(project: str, folder: Path) -> Path:
    """Build the wheel of a distribution from a copy of the checkout as it is.

    Never in place: setuptools leaves `build/` and its notes beside what it packs.

    Args:
        project: the folder of its pyproject.toml, relative to the checkout.
        folder: an empty one, for the copy and the wheel.
    """
    copy = copy_files(folder / "copy")
    _pip(
        *("wheel", "--no-index", "--no-deps", "--no-build-isolation"),
        *("--wheel-dir", folder, copy / project),
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def install_wheels(folder: Path, *wheels: Path) -> Path:
    """Install wheels into a new environment, and what they need in the versions of the lock file.

    Args:
        folder: gets the environment.
        wheels: from `build_wheel`.

    Returns:
        The environment's Python.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python, constraints = folder / "bin/python", folder / "constraints.txt"
    constraints.write_text(_locked_versions())
    _pip("--python", python, "install", "--constraint", constraints, *wheels)
    return python


def _pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _locked_versions() -> str:
    """Return the lock file as constraints, which have neither hashes nor extras."""
    text = (ROOT / "requirements/run.txt").read_text()
    pins = re.findall(r"^([\w.-]+)(?:\[.*?\])?(==[^\s\\]+(?: ; [^\\\n]+)?)", text, re.MULTILINE)
    return "".join(f"{name}{rest}\n" for name, rest in pins)

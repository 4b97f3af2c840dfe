"""What is handed on: the image's content, the licences, the Python versions."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import metadata
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
# Those of the last stage, from the checkout; the others are packages.
COPIES = [
    (line.split()[:-1], line.split()[-1])
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
JANITOR = "prefect_azure_batch.janitor.janitor"
DIRECT = [re.split(r"[<>=]", entry)[0] for entry in PROJECT["dependencies"]]
LOAD = """
import sys
from prefect.flows import load_flow_from_entrypoint as load
for entrypoint in sys.argv[1:]:
    print(load(entrypoint, use_placeholder_flow=False).name)
import blocks, flows, prefect_azure_batch
print(*(package.__file__ for package in (blocks, flows, prefect_azure_batch)))
"""


def test_all_that_the_image_copies_is_there() -> None:
    """Each path of the Dockerfile is in the checkout, and is not held back from the build."""
    let_in = (ROOT / ".dockerignore").read_text().splitlines()

    sources = [source for sources, _ in COPIES for source in sources]

    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in let_in


def test_nothing_else_is_sent_to_the_build() -> None:
    """What is let in is copied; all else, such as `.env`, stays out."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()

    assert "*" in lines
    assert {line[1:] for line in lines if line.startswith("!")} == {
        source for sources, _ in COPIES for source in sources
    }


def test_flows_load_from_what_the_image_holds(tmp_path: Path) -> None:
    """Both flows load from the copied folders alone; nothing of the checkout is used."""
    for sources, target in COPIES:
        for source in sources if "requirements" not in target else ():
            if source.endswith("/"):
                shutil.copytree(ROOT / source, tmp_path / target)
            else:
                shutil.copy(ROOT / source, tmp_path / target)

    done = subprocess.run(
        [sys.executable, "-c", LOAD, "flows/top_words.py:top_words", JANITOR],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "PREFECT_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )

    first, second, files = done.stdout.splitlines() or ("", "", done.stderr)
    assert (first, second) == ("top-words", "janitor")
    assert all(Path(file).is_relative_to(tmp_path) for file in files.split())


@pytest.mark.parametrize("name", DIRECT)
def test_licences_are_told(name: str) -> None:
    """NOTICE has each direct dependency with the licence that its own metadata tells."""
    about = metadata(name).json
    licence = str(about.get("license_expression") or about["license"])

    noted = re.search(rf"^ +{name} +(.+)$", (ROOT / "NOTICE").read_text(), re.MULTILINE)

    assert noted
    assert noted[1] == licence.removesuffix(" License")


def test_every_dependency_is_justified() -> None:
    """A comment stands before each direct dependency."""
    text = (ROOT / "pyproject.toml").read_text()
    listed = text[text.index("dependencies = [") :].split("]\n")[0].splitlines()[1:]

    for comment, entry in pairwise(listed):
        assert comment.strip().startswith("#") or entry.strip().startswith("#"), entry

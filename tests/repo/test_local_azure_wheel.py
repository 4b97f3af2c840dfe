"""Azure on the laptop from its wheel alone: no checkout, no pipeline, no SDK beside it."""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from zipfile import ZipFile

import pytest
from azure.batch import BatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import BlobServiceClient
from dotenv import dotenv_values

from local_azure.azurite import find_node, find_npm
from tests.support.emulator.builders import a_job, a_pool, delete_job, delete_pool, said
from tests.support.wheels import build_wheel, install_wheels


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built once."""
    return build_wheel("local_azure", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has nothing but the wheel and what it asks for."""
    return install_wheels(tmp_path_factory.mktemp("environment"), wheel)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder away from the checkout: what the commands below find and write is below it."""
    return tmp_path_factory.mktemp("away")


@pytest.fixture(scope="module")
def environment(home: Path) -> Mapping[str, str]:
    """The environment of a user who has a node, and a cache of their own below `home`."""
    names = ("HOME", "LANG", "TMPDIR", "npm_config_cache", "npm_config_registry")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    # npm's own cache may be used: what is fetched is not what is tested here.
    programs = home / "bin"
    programs.mkdir()
    for name, command in (("node", [find_node()]), ("npm", find_npm())):
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.join(map(str, command))} "$@"\n')
        (programs / name).chmod(0o755)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    return {**kept, "PATH": path, "XDG_CACHE_HOME": str(home / "cache")}


@pytest.fixture(scope="module")
def installed(python: Path, home: Path, environment: Mapping[str, str]) -> str:
    """What `python -m local_azure install` says."""
    command = [str(python), "-m", "local_azure", "install"]
    done = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def account(
    python: Path, home: Path, environment: Mapping[str, str], installed: str
) -> Iterator[Mapping[str, str | None]]:
    """What `up` writes for clients; afterwards it is asked to end, and leaves nothing."""
    assert installed
    file = home / "local.env"
    command = [str(python), "-m", "local_azure", "up", "--env-file", str(file)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=home, env=environment, stdout=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        ready = process.stdout.readline()
        assert ready.startswith("ready batch=http"), process.stderr.read()
        yield dotenv_values(file)
        process.send_signal(signal.SIGTERM)
        assert (process.wait(timeout=30), process.stderr.read()) == (0, "")
    assert not file.exists()


def test_the_wheel_holds_its_package_alone(wheel: Path) -> None:
    """And the files that pin Azurite, but nothing of a checkout."""
    with ZipFile(wheel) as archive:
        names = archive.namelist()

    folders = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    pins = {name for name in names if not name.endswith(".py") and ".dist-info/" not in name}
    assert folders == {"local_azure"}
    npm = {f"local_azure/npm/{n}" for n in ("package.json", "package-lock.json", ".npmrc")}
    assert pins == npm | {"local_azure/py.typed"}


def test_it_needs_three_distributions(wheel: Path) -> None:
    """Neither Prefect nor an SDK of Azure is among them."""
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        asked = re.findall(r"^Requires-Dist: ([\w-]+)", archive.read(name).decode(), re.MULTILINE)

    assert sorted(asked) == ["cryptography", "starlette", "uvicorn"]


def test_azurite_goes_into_the_users_cache(installed: str, home: Path) -> None:
    """The command says in one line where it is."""
    (line,) = (line for line in installed.splitlines() if line.startswith("Azurite is"))
    folder = Path(line.removeprefix("Azurite is installed in "))

    assert folder.is_relative_to(home / "cache/local-azure")
    assert (folder / "azurite/package.json").is_file()
    assert [path.name for path in folder.parent.iterdir()] == ["node_modules"]


def test_a_job_runs_on_it(account: Mapping[str, str | None]) -> None:
    """Both services answer the SDKs: a batch task runs, a blob is kept."""
    key = AzureNamedKeyCredential(
        str(account["AZURE_BATCH_ACCOUNT"]), str(account["AZURE_BATCH_ACCESS_KEY"])
    )
    with BatchClient(str(account["AZURE_BATCH_ENDPOINT"]), key) as batch:
        pool = a_pool(batch)
        job = a_job(batch, pool)

        assert said(batch, job, "echo from a wheel") == "from a wheel\n"

        delete_job(batch, job)
        delete_pool(batch, pool)
    connection = str(account["AZURE_STORAGE_CONNECTION_STRING"])
    with BlobServiceClient.from_connection_string(connection) as blobs:
        blob = blobs.create_container("kept").upload_blob("blob", b"bytes")
        assert blob.download_blob().readall() == b"bytes"


def test_without_azurite_it_says_what_to_do(python: Path, tmp_path: Path) -> None:
    """Nothing is fetched unasked."""
    done = subprocess.run(
        [python, "-m", "local_azure", "up"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert re.fullmatch(
        rf"error: no Azurite in {tmp_path}/local-azure/azurite-\w+: "
        r"run `python -m local_azure install`\n",
        done.stderr,
    )

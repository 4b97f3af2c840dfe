"""Blocks as a user of Prefect meets them: registered, saved, checked, and what is stored."""

import base64
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from blocks import AzureBatchCredentials, AzureStorageCredentials
from local_azure.azurite import ACCOUNT_KEY, ACCOUNT_NAME
from local_azure.stack import LocalAzure
from tests.support.pipeline.prefect_server import PrefectServer

SLUGS = ("azure-batch-credentials", "azure-storage-credentials")
WRONG_KEY = base64.b64encode(b"wrong" * 12).decode()
NO_KEY = {
    "AZURE_STORAGE_CONNECTION_STRING": "",
    "AZURE_STORAGE_ACCOUNT": ACCOUNT_NAME,
}


@pytest.fixture
def env_file(local_azure: LocalAzure, tmp_path: Path) -> Path:
    """The accounts of the laptop, as `up --env-file` writes them."""
    return write_env(tmp_path / "local.env", local_azure.environment)


def write_env(path: Path, values: Mapping[str, str]) -> Path:
    """Write an env file."""
    path.write_text("".join(f"export {name}={value!r}\n" for name, value in values.items()))
    return path


def blocks(server: PrefectServer | None, folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run `python -m blocks` in a folder; return exit code and both outputs."""
    done = subprocess.run(
        [sys.executable, "-m", "blocks", *arguments],
        cwd=folder,
        env=server.environment if server else dict(os.environ),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def document(server: PrefectServer, slug: str, name: str) -> Any:
    """Return a saved block as the server shows it to anybody who may not see secrets."""
    return server.get(f"/block_types/slug/{slug}/block_documents/name/{name}")


def test_registration(prefect_server: PrefectServer) -> None:
    """`prefect block register --module blocks` gives the catalog two complete types."""
    printed = prefect_server.run("prefect", "block", "register", "--module", "blocks")

    types = [prefect_server.get(f"/block_types/slug/{slug}") for slug in SLUGS]
    shown = ("logo_url", "documentation_url", "description", "code_example")
    assert "Successfully registered 2 blocks" in printed
    assert all(item[field] for item in types for field in shown)


def test_saving_twice(prefect_server: PrefectServer, env_file: Path) -> None:
    """Saving again updates both blocks; neither what is printed nor what is shown has a key."""
    save = ("save", "twice", "--env-file", str(env_file))
    first = blocks(prefect_server, env_file.parent, *save)
    text = env_file.read_text().replace("AZURE_BATCH_ACCOUNT='", "AZURE_BATCH_ACCOUNT='other")
    env_file.write_text(text)

    second = blocks(prefect_server, env_file.parent, *save)

    saved = [document(prefect_server, slug, "twice") for slug in SLUGS]
    batch_key = text.split("AZURE_BATCH_ACCESS_KEY='")[1].split("'")[0]
    shown = json.dumps([first, second, saved])
    assert (first[0], second[0]) == (0, 0), (first, second)
    assert saved[0]["data"]["account_name"].startswith("other")
    assert not [key for key in (ACCOUNT_KEY, batch_key) if key in shown]


def test_service_principal_is_stored(prefect_server: PrefectServer, tmp_path: Path) -> None:
    """Its secret is as hidden as a key, and its other parts can be read."""
    values = NO_KEY | {
        "AZURE_BATCH_ACCOUNT": "acc",
        "AZURE_BATCH_ENDPOINT": "https://acc.westeurope.batch.azure.com",
        "AZURE_TENANT_ID": "tenant",
        "AZURE_CLIENT_ID": "client",
        "AZURE_CLIENT_SECRET": "hush-hush",
    }
    file = write_env(tmp_path / "azure.env", values)

    done = blocks(prefect_server, tmp_path, "save", "principal", "--env-file", str(file))

    saved = [document(prefect_server, slug, "principal")["data"]["sign_in"] for slug in SLUGS]
    assert done[0] == 0, done
    assert {item["tenant_id"] for item in saved} == {"tenant"}
    assert "hush" not in json.dumps([done, saved])


def test_half_of_an_account(prefect_server: PrefectServer, env_file: Path) -> None:
    """If one account is incomplete, neither is saved, and the missing name is reported."""
    lines = env_file.read_text().splitlines(keepends=True)
    env_file.write_text("".join(line for line in lines if "STORAGE" not in line))

    code, _, errors = blocks(
        prefect_server, env_file.parent, "save", "half", "--env-file", str(env_file)
    )

    saved = prefect_server.post("/block_documents/filter", {"limit": 200})
    assert code == 1
    assert errors.startswith("error: AZURE_STORAGE_CONNECTION_STRING is not set")
    assert "half" not in {item["name"] for item in saved}


def test_check_of_saved_blocks(prefect_server: PrefectServer, env_file: Path) -> None:
    """A check by name makes a real call with each saved block."""
    blocks(prefect_server, env_file.parent, "save", "checked", "--env-file", str(env_file))

    done = blocks(prefect_server, env_file.parent, "check", "checked")

    assert done[:2] == (0, "".join(f"ok {slug}/checked\n" for slug in SLUGS))


def test_check_of_an_unknown_block(prefect_server: PrefectServer, tmp_path: Path) -> None:
    """A name that no block has is reported with the command that saves one."""
    code, _, errors = blocks(prefect_server, tmp_path, "check", "nobody")

    assert code == 1
    assert errors.count("save it with `batch-map blocks save nobody`") == 2


@pytest.fixture
def closed_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_check_of_a_wrong_account(local_azure: LocalAzure, tmp_path: Path) -> None:
    """The account that refuses is named with its reason; the other one is checked all the same."""
    values = {**local_azure.environment, "AZURE_BATCH_ACCESS_KEY": WRONG_KEY}
    write_env(tmp_path / ".env", values)

    code, printed, errors = blocks(None, tmp_path, "check")

    assert (code, printed) == (1, "ok azure-storage-credentials/environment\n")
    assert re.match(rf"error: Batch account .* at {local_azure.batch_url}: Auth.*key", errors)


def test_wrong_storage_key(local_azure: LocalAzure) -> None:
    """The code of the service is reported with the fields to look at, and without the key."""
    block = AzureStorageCredentials(
        account_name=ACCOUNT_NAME,
        blob_endpoint=local_azure.blob_url,
        key=SecretStr(WRONG_KEY),
    )

    with pytest.raises(ConnectionError, match=r"AuthorizationFailure: .*check key") as raised:
        block.check_connection()

    assert WRONG_KEY not in str(raised.value)


def test_nobody_at_the_endpoint(closed_port: int) -> None:
    """An endpoint that nobody answers at is reported as one."""
    block = AzureBatchCredentials(
        account_name="acc", endpoint=f"http://127.0.0.1:{closed_port}", key=SecretStr(WRONG_KEY)
    )

    with pytest.raises(ConnectionError, match=r"gives no answer .*check the endpoint"):
        block.check_connection()

"""docs/azure.md: its commands on the emulator, and of the others that the Azure CLI has them."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.batch import BatchClient
from azure.storage.blob import BlobServiceClient

from local_azure.stack import LocalAzure
from prefect_azure_batch.credentials import environment
from prefect_azure_batch.messages import advice
from prefect_azure_batch.service.clients import Services
from tests.pipeline.conftest import leftovers, mark_for_children
from tests.support.clone import make_clone
from tests.support.paths import PROJECT
from tests.support.pipeline.prefect_server import PrefectServer
from tests.support.processes import Marked

PAGE = (PROJECT / "docs" / "azure.md").read_text()
FENCE = re.compile(r"^```sh *(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A command of the CLI up to its first option, and all up to the end of its line.
COMMAND = re.compile(r"(?<![\w`-])az ((?:[a-z][a-z-]*(?: |$))+)([^\n]*)")
OPTION = re.compile(r"(?<= )--[a-z][a-z-]*")


def shell(kind: str) -> str:
    """Return the page's shell commands of a kind, one after the other."""
    return "".join(text for of, text in FENCE.findall(PAGE) if of == kind)


def az_commands(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return the commands of the CLI in a script, each with its options."""
    joined = re.sub(r"\\\n *", "", text)
    # One that stands inside another one's line is found by itself.
    parts = (part for line in joined.splitlines() for part in re.split(r"(?=\$\(az )", line))
    found = (match for part in parts for match in COMMAND.finditer(part))
    return [(match[1].strip(), tuple(OPTION.findall(" " + match[2]))) for match in found]


BY_SUBSCRIPTION = sorted(set(az_commands(shell("azure"))))


@pytest.fixture
def clone(local_azure: LocalAzure, tmp_path: Path) -> Path:
    """A copy of the checkout whose `.env` has the emulator's accounts."""
    target = make_clone(tmp_path / "clone")
    lines = (f"{name}='{value}'\n" for name, value in local_azure.environment.items())
    (target / ".env").write_text("".join(lines))
    return target


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """A Prefect server, and an environment without accounts in which the CLI keeps to itself."""
    home = tmp_path_factory.mktemp("home")
    with PrefectServer(home, PROJECT) as running:
        running.environment["AZURE_CONFIG_DIR"] = str(home / "az")
        running.environment["AZURE_CORE_COLLECT_TELEMETRY"] = "no"
        running.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        yield running


@pytest.mark.az
@pytest.mark.timeout(600)
def test_commands_work_on_the_emulator(
    clone: Path,
    server: PrefectServer,
    marked: Marked,
    batch_client: BatchClient,
    blob_service: BlobServiceClient,
) -> None:
    """Every command that needs an account and no subscription works, and nothing is left."""
    with (clone / "script.log").open("w+") as log:
        process = subprocess.Popen(
            # Job control, as in a terminal.
            ["bash", "-c", f"set -em\n{shell('')}\necho all of it"],
            cwd=clone,
            env=server.environment | mark_for_children(marked),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            code = process.wait(540)
        finally:
            subprocess.run(["kill", "-KILL", *map(str, marked.pids())], check=False)
        log.seek(0)
        printed = log.read()

    assert (code, printed[-10:]) == (0, "all of it\n"), printed[-5000:]
    assert "│ taskdata1.txt │ the   │ 44    │" in printed
    assert "somebody else deleted the pool" in printed
    assert "nothing of ours is there" in printed.rpartition("\n0\n0\n[]\n")[2]
    assert leftovers(Services(batch_client, blob_service)) == []


@pytest.mark.az
@pytest.mark.timeout(60)
@pytest.mark.parametrize(("command", "options"), BY_SUBSCRIPTION)
def test_commands_of_a_subscription_exist(
    command: str, options: tuple[str, ...], server: PrefectServer
) -> None:
    """The CLI has each command that only a subscription could answer, and its options."""
    done = subprocess.run(
        ["az", *command.split(), "--help"],
        env=server.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert [option for option in options if option not in done.stdout] == []


def test_all_commands_are_seen() -> None:
    """No use of the CLI in a shell block escapes these tests."""
    for kind in ("", "azure"):
        written = re.findall(r"(?:^|\(|\s)az (?=[a-z])", shell(kind), re.MULTILINE)
        assert len(az_commands(shell(kind))) == len(written)


def test_variables_are_those_that_are_read() -> None:
    """Every variable of an account on the page is one that the blocks read, or the tests."""
    known = {value for value in vars(environment).values() if isinstance(value, str)}
    named = set(re.findall(r"\bAZURE_[A-Z_]+", PAGE))

    assert named <= known | {"AZURE_TEST_VM_SIZE"}


def test_advice_is_what_the_errors_say() -> None:
    """The table of quotas says of each code what the run's error says."""
    section = PAGE.split("\n## Quotas\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)`[^|]*\| (.*) \|$", section, re.MULTILINE)

    assert len(rows) == 5
    assert [code for code, text in rows if advice(code) != f"; {text}"] == []


def test_links_lead_somewhere() -> None:
    """Every relative link of the page, and of the comparison, is a file of the project."""
    for name in ("azure.md", "comparison.md"):
        text = (PROJECT / "docs" / name).read_text()
        targets = re.findall(r"\]\((?!http|#)([^)#]+)", text)
        assert targets
        assert [target for target in targets if not (PROJECT / "docs" / target).exists()] == []

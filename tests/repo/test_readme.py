"""The README's commands, run as a newcomer would, in a copy of the checkout."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clone import ROOT, free_port, make_clone
from tests.support.processes import Marked

FENCE = re.compile(r"^```sh *(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What a reader sees on the terminal before going on to the next command.
READY = {
    "make local-azure": "until test -s local-azure.env; do sleep 0.1; done",
    "make server": "true",
    "make worker": "true",
}


def blocks(*kinds: str) -> Iterator[tuple[str, str]]:
    """Give the README's shell commands, one by one, with the kind of their block."""
    for kind, text in FENCE.findall((ROOT / "README.md").read_text()):
        if kind in kinds:
            yield from ((kind, line) for line in text.splitlines())


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the checkout."""
    return make_clone(tmp_path / "clone")


def script(port: int) -> str:
    """Write the README's commands as one shell script that stops at the first failure."""
    # With job control the background jobs do not inherit an ignored SIGINT, as in a terminal.
    lines = ["set -em"]
    for kind, command in blocks("", "background"):
        if kind == "background":
            ready = next(wait for text, wait in READY.items() if text in command)
            lines += [f"{command} >> background.log 2>&1 &", ready]
        else:
            lines.append(command)
    # A terminal sends Ctrl-C to everything that its command has started. The server goes after the
    # worker: without one, a worker takes minutes to give up.
    end = "for job in $(jobs -p | tac); do kill -INT -- -$job; wait $job || true; done"
    lines += ["echo all of it", end]
    return "\n".join(lines).replace("4200", str(port))


@pytest.mark.timeout(600)
def test_commands_without_azure_work(
    clone: Path, marked: Marked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command of the README that needs no Azure account does what it says."""
    port = free_port()
    monkeypatch.setenv("XDG_CACHE_HOME", str(clone / "cache"))
    monkeypatch.setenv("PREFECT_HOME", str(clone / "prefect-home"))
    monkeypatch.setenv("PREFECT_SERVER_API_PORT", str(port))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)

    with (clone / "script.log").open("w+") as log:
        shell = subprocess.Popen(
            ["bash", "-c", script(port)],
            cwd=clone,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            code = shell.wait(480)
        finally:
            left = marked.pids()
            subprocess.run(["kill", "-KILL", *map(str, left)], check=False, capture_output=True)
        log.seek(0)
        printed = log.read()

    assert "all of it\n" in printed, printed[-3000:]
    assert (code, left) == (0, [])
    assert "│ taskdata1.txt │ the   │ 44    │" in printed
    assert "Completed" in printed


def test_make_targets_exist() -> None:
    """The make targets that the README names are there; `make test` cannot run inside itself."""
    for _, command in blocks("check"):
        done = subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, check=False)
        assert done.returncode == 0, command


def test_links_lead_somewhere() -> None:
    """Every relative link of the README is a file of the project."""
    targets = re.findall(r"\]\((?!http)([^)#]+)", (ROOT / "README.md").read_text())
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []

"""The command line as a user types it: exit codes, one readable error, the table."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from local_azure.stack import LocalAzure
from tests.pipeline.conftest import mark_for_children
from tests.support.paths import PROJECT
from tests.support.pipeline.prefect_server import PrefectServer
from tests.support.processes import Marked

SCRIPT = str(PROJECT / "flows" / "top_words.py")
README = str(PROJECT / "README.md")
PROGRAM = str(PROJECT / "tasks_node" / "line_stats.py")
SAMPLE = str(PROJECT / "data" / "taskdata1.txt")


def run(
    folder: Path, *command: str, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a Python command in a folder to its end."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_local_run_prints_the_words(
    prefect_server: PrefectServer, marked: Marked, tmp_path: Path
) -> None:
    """`--local` needs nothing else: words, exit 0, no process and no temporary file are left."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = prefect_server.environment | mark_for_children(marked)
    environment["TMPDIR"] = str(temporary)

    done = run(tmp_path, SCRIPT, "--local", SAMPLE, "--num-words", "2", environment=environment)

    assert done.returncode == 0, done.stderr
    assert "taskdata1.txt" in done.stdout
    assert " the " in done.stdout
    assert "1 inputs; " in done.stdout
    assert "ready in" in done.stderr
    assert marked.none()
    assert list(temporary.iterdir()) == []


@pytest.mark.usefixtures("only_evidence_left")
def test_failure_is_one_readable_error(
    prefect_server: PrefectServer, accounts: LocalAzure, tmp_path: Path
) -> None:
    """A run that fails exits 1 with its error on standard error and no traceback."""
    (tmp_path / "program.py").write_text("import sys; sys.exit('no luck')")
    environment = prefect_server.environment | dict(accounts.environment)

    done = run(tmp_path, SCRIPT, SAMPLE, "--program", "program.py", environment=environment)

    assert done.returncode == 1
    assert done.stderr.count("error:") == 1
    assert "exit code 1" in done.stderr
    assert "no luck" in done.stderr
    assert "resume=tw-" in done.stderr
    assert "Traceback" not in done.stderr


def test_failed_local_run_promises_no_resume(prefect_server: PrefectServer, tmp_path: Path) -> None:
    """Its services end with it: it says so, and how to have services that stay."""
    (tmp_path / "program.py").write_text("import sys; sys.exit('no luck')")

    done = run(
        tmp_path,
        *(SCRIPT, "--local", SAMPLE, "--program", "program.py"),
        environment=prefect_server.environment,
    )

    assert done.returncode == 1
    assert "exit code 1" in done.stderr
    assert "is kept: its Azure ends with the command" in done.stderr
    assert "make local-azure" in done.stderr
    assert "resume=" not in done.stderr
    assert "kept until" not in done.stderr


@pytest.mark.parametrize("command", [(SCRIPT,), ("-m", "flows.top_words")])
def test_no_credentials(
    prefect_server: PrefectServer, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Without accounts the error says so and what to do; the emulator is never picked."""
    environment = prefect_server.environment | {"PYTHONPATH": str(PROJECT)}

    done = run(tmp_path, *command, SAMPLE, environment=environment)

    assert done.returncode == 1
    assert done.stderr.startswith("error: AZURE_BATCH_ACCOUNT is not set")
    assert "--local" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        (SCRIPT, SAMPLE),
        ("-m", "flows.janitor"),
        ("-m", "blocks", "check"),
        ("-m", "blocks", "save", "mine"),
    ],
)
def test_dot_env_that_cannot_be_read_is_named(tmp_path: Path, command: tuple[str, ...]) -> None:
    """`.env` as PowerShell 5 writes it is one error that says which file, and what to do."""
    (tmp_path / ".env").write_text("AZURE_BATCH_ACCOUNT=acc", "utf-16")
    environment = {"PYTHONPATH": str(PROJECT), "PREFECT_HOME": str(tmp_path / "home")}

    done = run(tmp_path, *command, environment=environment)

    assert done.returncode == 1
    assert done.stderr.startswith("error: '.env' is UTF-16")
    assert "save it as UTF-8" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "shown"),
    [
        (["--help"], 0, "--num-words"),
        ([SAMPLE, "--num-words", "0"], 2, "Must be >= 1"),
        ([SAMPLE, "--no-such-option"], 2, "--no-such-option"),
        ([SAMPLE, "--encoding", "klingon"], 2, "'klingon' is not one that Python"),
        (["nothing*.txt"], 1, "matches no file"),
        ([], 1, "no input given"),
        ([SAMPLE, "--local", "--batch-credentials", "x"], 1, "brings its own accounts"),
        ([SAMPLE, "--local", "--resume", "tw-12"], 1, "resume='tw-12' names no run"),
        (
            [SAMPLE, "--local", "--output-dir", f"{SAMPLE}/out"],
            1,
            "out' is not writable: Not",
        ),
        ([SAMPLE, "--local", "--output-dir", "out/{day}"], 1, "{run} (the run's name"),
        ([SAMPLE, "--local", "--split", "1KB"], 1, "split_bytes: Input should be greater"),
        ([SAMPLE, "--local", "--program", "nowhere.py"], 1, "nowhere.py' is not a file"),
        ([SAMPLE, "--local", "--program", README], 1, "its name must end with .py"),
        ([SAMPLE, "--program", PROGRAM, "--num-words", "5"], 1, "num_words=5 is for the word"),
        (["az://texts/2026", "--local"], 1, "empty storage account, without 'az://texts/2026'"),
        (["az:///x"], 1, "names no container"),
        ([SAMPLE, "--inputs-from", "nowhere"], 1, "list of inputs 'nowhere' cannot be read"),
    ],
)
def test_arguments_are_checked_before_prefect_is_imported(
    tmp_path: Path, arguments: list[str], exit_code: int, shown: str
) -> None:
    """A wrong argument is reported at once: Prefect would take seconds to import."""
    code = (
        "import sys\n"
        "from flows.word_count.options import command\n"
        "from prefect_azure_batch.command_line.app import exit_code_of\n"
        "try:\n"
        "    code = exit_code_of(command(lambda: None))\n"
        "except SystemExit as leaving:\n"
        "    code = leaving.code or 0\n"
        "sys.exit(99 if 'prefect' in sys.modules else code)\n"
    )

    done = run(tmp_path, "-c", code, *arguments, environment={"PYTHONPATH": str(PROJECT)})

    assert done.returncode == exit_code, done.stderr
    assert shown in done.stdout + done.stderr

"""The command `batch-map` as a user types it: table, JSON, plan, one readable error, resume."""

import gzip
import json
import os
from pathlib import Path

import pytest

from local_azure.stack import LocalAzure
from tests.pipeline.command_line.test_command_line import SAMPLE, run
from tests.pipeline.conftest import mark_for_children
from tests.support.paths import PROJECT
from tests.support.pipeline.prefect_server import PrefectServer
from tests.support.processes import Marked

LINE_STATS = str(PROJECT / "tasks_node" / "line_stats.py")
CODE = "import sys; from prefect_azure_batch.command_line.batch_map import main; sys.exit(main())"
COMMAND = ("-c", CODE)


@pytest.fixture
def environment(prefect_server: PrefectServer, accounts: LocalAzure) -> dict[str, str]:
    """The environment of a user with accounts and a Prefect server."""
    return prefect_server.environment | dict(accounts.environment)


def test_local_run_prints_the_outputs(
    prefect_server: PrefectServer, marked: Marked, tmp_path: Path
) -> None:
    """`--local` needs nothing else: a row for each input, and no process is left."""
    environment = prefect_server.environment | mark_for_children(marked) | {"COLUMNS": "300"}
    command = f"'{LINE_STATS}' --matching '^T'"
    options = ("--local", "--output-suffix", ".json")

    done = run(tmp_path, *COMMAND, *options, command, SAMPLE, environment=environment)

    assert done.returncode == 0, done.stderr
    assert "taskdata1_OUTPUT.json" in done.stdout
    assert "1 inputs; " in done.stdout
    found = json.loads((tmp_path / "results" / "taskdata1_OUTPUT.json").read_text())
    lines = Path(SAMPLE).read_text().splitlines()
    assert found["matching"] == {"^T": sum(line.startswith("T") for line in lines)}
    assert marked.none()


@pytest.mark.usefixtures("nothing_left")
def test_failure_is_resumed(environment: dict[str, str], tmp_path: Path) -> None:
    """A bad input is one error on standard error; once it is good, `--resume` does it alone."""
    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / "bad.txt").write_bytes(b"caf\xe9\n")
    command = (*COMMAND, LINE_STATS, "a.txt", "bad.txt", "--retries", "0")

    failed = run(tmp_path, *command, environment=environment)
    (tmp_path / "bad.txt").write_text("caf\n")
    name = failed.stderr.partition("--resume ")[2].partition(")")[0]
    resumed = run(tmp_path, *command, "--resume", name, "--json", environment=environment)

    assert failed.returncode == 1
    assert failed.stderr.count("error: ") == 1
    assert "input 'bad.txt': batch task task1" in failed.stderr
    assert "can't decode byte 0xe9" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert resumed.returncode == 0, resumed.stderr
    assert "1 batch tasks were done before" in resumed.stderr
    outputs = json.loads(resumed.stdout)["outputs"]
    assert {name: row["output"] for name, row in outputs.items()} == {
        "a.txt": "a_OUTPUT.txt",
        "bad.txt": "bad_OUTPUT.txt",
    }


@pytest.mark.usefixtures("nothing_left")
def test_a_suffix_that_is_false_is_reported(environment: dict[str, str], tmp_path: Path) -> None:
    """An output is called as its input is; a warning names those that are not compressed, then."""
    (tmp_path / "unpack.py").write_text(
        "import gzip, pathlib, sys\n"
        "content = pathlib.Path(sys.argv[1]).read_bytes()\n"
        "content = gzip.decompress(content) if 'plain' in sys.argv[1] else content\n"
        "pathlib.Path(sys.argv[2]).write_bytes(content)\n"
    )
    for name in ("plain.gz", "packed.gz"):
        (tmp_path / name).write_bytes(gzip.compress(b"text"))

    done = run(tmp_path, *COMMAND, "unpack.py", "plain.gz", "packed.gz", environment=environment)

    assert done.returncode == 0, done.stderr
    assert (
        "1 output(s) end with .gz and are not compressed, such as that of 'plain.gz'" in done.stderr
    )


@pytest.mark.usefixtures("nothing_left")
def test_plan(environment: dict[str, str], tmp_path: Path) -> None:
    """`--plan` prints what a run would create, its command included, and creates nothing."""
    done = run(tmp_path, *COMMAND, f"'{LINE_STATS}' -n", SAMPLE, "--plan", environment=environment)

    assert done.returncode == 0, done.stderr
    assert "line_stats.py -n INPUT OUTPUT" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "exit_code", "shown"),
    [
        (["--help"], 0, "--output-suffix"),
        (["--version"], 0, "0.1.0"),
        ([], 2, "command"),
        ([LINE_STATS], 1, "no input given"),
        ([LINE_STATS, "nothing*.txt"], 1, "matches no file"),
        ([LINE_STATS, SAMPLE, "--num-words", "3"], 2, "--num-words"),
        (["fit.py 'it", SAMPLE], 1, "write it as for a shell"),
        ([LINE_STATS, SAMPLE, "--local", "--batch-credentials", "x"], 1, "brings its own accounts"),
        (
            [LINE_STATS, SAMPLE, "--local", "--resume", "yesterday"],
            1,
            "resume='yesterday' names",
        ),
        ([LINE_STATS, SAMPLE, "--local", "--output-dir", "/proc/x"], 1, "/proc/x' is not"),
        ([LINE_STATS, SAMPLE, "--output-dir", "{run"], 1, "braces that are not a placeholder"),
        ([LINE_STATS, SAMPLE, "--local", "--output-suffix", "json"], 1, "is not a suffix"),
        (["nowhere.py", SAMPLE, "--local"], 1, "nowhere.py' is not a file"),
        (["broken.py", SAMPLE, "--local"], 1, "'broken.py' does not compile"),
        ([LINE_STATS, "empty", "--local"], 1, "input folder 'empty' holds no file"),
        ([LINE_STATS, "az://x/y", "--local"], 1, "empty storage account"),
    ],
)
def test_arguments_are_checked_before_prefect_is_imported(
    tmp_path: Path, arguments: list[str], exit_code: int, shown: str
) -> None:
    """A wrong argument is reported at once: Prefect would take seconds to import."""
    code = (
        "import sys\n"
        "from prefect_azure_batch.command_line.batch_map import main\n"
        "try:\n"
        "    code = main()\n"
        "except SystemExit as leaving:\n"
        "    code = leaving.code or 0\n"
        "sys.exit(99 if 'prefect' in sys.modules else code)\n"
    )
    environment = {"PYTHONPATH": str(PROJECT), "PATH": os.environ["PATH"]}
    (tmp_path / "broken.py").write_text("def (:\n")
    (tmp_path / "empty").mkdir()

    done = run(tmp_path, "-c", code, *arguments, environment=environment)

    assert done.returncode == exit_code, done.stderr
    assert shown in done.stdout + done.stderr


def test_no_credentials(prefect_server: PrefectServer, tmp_path: Path) -> None:
    """Without accounts the error says so and what to do; the emulator is never picked."""
    environment = prefect_server.environment | {"PYTHONPATH": str(PROJECT)}

    done = run(tmp_path, *COMMAND, LINE_STATS, SAMPLE, environment=environment)

    assert done.returncode == 1
    assert done.stderr.startswith("error: AZURE_BATCH_ACCOUNT is not set")
    assert "--local" in done.stderr

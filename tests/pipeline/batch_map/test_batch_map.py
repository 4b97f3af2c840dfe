"""A program of the user's own as a function: in a script, in a flow, as a plan, as a deployment."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import Flow, flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.flows import load_flow_from_entrypoint
from prefect.runtime import flow_run
from prefect.types.entrypoint import EntrypointType

from local_azure.stack import LocalAzure
from prefect_azure_batch import JobSettings, PipelineError, batch_map
from prefect_azure_batch.service.clients import Services
from tests.support.paths import PROJECT
from tests.support.pipeline.prefect_server import PrefectServer

LINE_STATS = str(PROJECT / "tasks_node" / "line_stats.py")
QUICK = JobSettings(poll_interval_s=0.3, max_task_retry_count=0)
SCRIPT = """
import json, sys
from prefect_azure_batch import JobSettings, batch_map
rows = batch_map(
    sys.argv[1], sys.argv[2:], output_suffix=".json", output_dir="out",
    job=JobSettings(poll_interval_s=0.3),
)
print(json.dumps([[row.source, row.name, row.path, row.size] for row in rows]))
"""
IMPORTS = (
    "",
    "import prefect_azure_batch.batch_map",
    "from prefect_azure_batch.batch_map import BatchMap",
    "import prefect_azure_batch.batch_map_flow",
    "import prefect_azure_batch.command_line.batch_map",
    "import prefect_azure_batch.workload_run, prefect_azure_batch.workloads.python_program",
)

in_process = pytest.mark.usefixtures("prefect_harness", "accounts", "nothing_left")


def python(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    """Run Python in a folder, which must succeed; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("nothing_left")
def test_script(
    prefect_server: PrefectServer, accounts: LocalAzure, services: Services, tmp_path: Path
) -> None:
    """A script gets a row for each input, in their order: where it is from, and its output."""
    (tmp_path / "b.txt").write_text("one\n")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.txt").write_text("one\ntwo\n")
    environment = prefect_server.environment | dict(accounts.environment)
    command, inputs = f"'{LINE_STATS}' --matching '^t w|two'", ("b.txt", "az://theirs/c", "more")
    theirs = services.blobs.create_container("theirs")
    try:
        theirs.upload_blob("c.txt", b"two\ntwo\n")
        rows = json.loads(python(tmp_path, environment, SCRIPT, command, *inputs))
    finally:
        theirs.delete_container()

    texts = [Path(path).read_text() for _, _, path, _ in rows]
    out = tmp_path / "out"
    assert rows == [
        ["b.txt", "b.txt", str(out / "b_OUTPUT.json"), len(texts[0])],
        ["az://theirs/c.txt", "c.txt", str(out / "c_OUTPUT.json"), len(texts[1])],
        ["more/a.txt", "a.txt", str(out / "a_OUTPUT.json"), len(texts[2])],
    ]
    assert [json.loads(text)["matching"] for text in texts] == [
        {"^t w|two": number} for number in (0, 2, 1)
    ]


@in_process
def test_subflow(tmp_path: Path) -> None:
    """In a flow each call is a subflow run of its own, and the next one can read its outputs."""
    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / "twice.py").write_text(
        "import sys\nopen(sys.argv[2], 'w').write(2 * open(sys.argv[1]).read())\n"
    )

    @flow
    def outer() -> tuple[str, list[str]]:
        """Run it over a file, and over what came of that."""
        first = batch_map("twice.py", ["a.txt"], output_dir="first", job=QUICK)
        second = batch_map("twice.py", [first[0].path], output_dir="second", job=QUICK)
        return flow_run.id, [Path(row.path).read_text() for row in (*first, *second)]

    run_id, texts = outer()

    assert texts == ["one\n" * 2, "one\n" * 4]
    children = children_of(UUID(run_id))
    assert sorted(str(run.name) for run in children) == [
        f"twice.py on {tmp_path}/first/a_OUTPUT.txt",
        "twice.py on a.txt",
    ]
    assert {run.state_name for run in children} == {"Completed"}


def children_of(run_id: UUID) -> list[FlowRun]:
    """Return the subflow runs of a flow run."""
    wanted = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run_id]))
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(flow_run_filter=wanted)


@in_process
def test_plan_only(tmp_path: Path) -> None:
    """A plan has no rows, and says by title what a run would create."""
    (tmp_path / "a.txt").write_text("one\n")

    outputs = batch_map(f"'{LINE_STATS}' --matching x", ["a.txt"], plan_only=True)

    assert list(outputs) == []
    assert outputs.plan["program"] == "line_stats.py --matching x INPUT OUTPUT"
    assert outputs.plan["batch tasks"] == "1: 1 for one file each"


@pytest.mark.usefixtures("prefect_harness", "accounts", "only_evidence_left")
def test_failing_program(tmp_path: Path) -> None:
    """The error has the input, the exit code, the end of stderr, and how to continue."""
    (tmp_path / "good.txt").write_text("one\n")
    (tmp_path / "bad.txt").write_bytes(b"caf\xe9\n")

    evidence = r"input 'bad\.txt'(.|\n)*exit code 3(.|\n)*can't decode byte 0xe9"
    with pytest.raises(PipelineError, match=evidence) as raised:
        batch_map(LINE_STATS, ["good.txt", "bad.txt"], job=QUICK)

    assert "resume=tw-" in "".join(raised.value.__notes__)
    assert (tmp_path / "results" / "good_OUTPUT.txt").is_file()


@in_process
@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "it is empty"),
        ("fit.py 'it", "No closing quotation"),
        ("fit.py {input}", "{input} is not supported"),
        ("nowhere.py", "nowhere.py' is not a file"),
    ],
)
def test_commands_that_cannot_work(tmp_path: Path, command: str, message: str) -> None:
    """A command that cannot work is refused before anything is created, and says what is wrong."""
    (tmp_path / "a.txt").write_text("one\n")

    with pytest.raises(PipelineError, match=message):
        batch_map(command, ["a.txt"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("'nowhere.py', ['a.txt']", "nowhere.py' is not a file"),
        ("'fit.py', ['b*.txt']", "input 'b*.txt' matches no file"),
        ("'fit.py', ['a.txt'], output_suffix='json'", "is not a suffix"),
        ("'fit.py', ['a.txt'], output_dir='a.txt/out'", "out' is not writable: Not a directory"),
        ("'fit.py', ['a.txt'], output_dir='{run'", "braces that are not a placeholder"),
        ("'fit.py', ['a.txt'], resume='tw-1'", "resume='tw-1' names no run"),
    ],
)
def test_mistakes_are_reported_before_prefect_starts(
    tmp_path: Path, call: str, message: str
) -> None:
    """A script that calls it wrongly waits for no server: Prefect is not even imported."""
    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / "fit.py").touch()
    code = (
        "import sys\n"
        "from prefect_azure_batch import ConfigurationError, batch_map\n"
        "try:\n"
        f"    batch_map({call})\n"
        "except ConfigurationError as error:\n"
        "    print('prefect' in sys.modules, error)\n"
    )

    printed = python(tmp_path, {"PYTHONPATH": str(PROJECT)}, code)

    assert printed.startswith("False ")
    assert message in printed


@in_process
def test_folder_where_an_output_is_to_be(tmp_path: Path) -> None:
    """What cannot be written in the end is refused before anything is created."""
    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / "results" / "a_OUTPUT.txt").mkdir(parents=True)

    with pytest.raises(PipelineError, match=r"results' has a folder 'a_OUTPUT\.txt'"):
        batch_map(LINE_STATS, ["a.txt"], job=QUICK)


def test_the_flow_itself() -> None:
    """It is there for what only a Prefect flow can do."""
    assert batch_map.flow.name == "batch-map"
    assert set(batch_map.flow.parameters.required) == {"command", "inputs"}


@pytest.mark.usefixtures("prefect_harness")
@pytest.mark.parametrize("kind", list(EntrypointType))
def test_deployment(kind: EntrypointType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment is made in one line, and a worker in the checkout can load its flow."""
    monkeypatch.chdir(PROJECT)

    made = batch_map.to_deployment("x", entrypoint_type=kind, parameters={"command": "fit.py"})

    loaded: Flow[..., Any] = load_flow_from_entrypoint(
        str(made.entrypoint), use_placeholder_flow=False
    )
    assert (made.name, made.flow_name, made.parameters) == ("x", "batch-map", {"command": "fit.py"})
    assert loaded.name == "batch-map"
    assert loaded.parameters == batch_map.flow.parameters
    assert loaded.on_crashed_hooks


@pytest.mark.parametrize("before", IMPORTS)
def test_import(before: str, tmp_path: Path) -> None:
    """The package gives the function, whatever of its modules was imported before."""
    code = f"{before}\nfrom prefect_azure_batch import batch_map\nprint(callable(batch_map))"

    assert python(tmp_path, {"PYTHONPATH": str(PROJECT)}, code) == "True\n"

"""A workload that nobody but this file has, in a flow of its own: what it makes, and leaves."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from prefect import flow

from prefect_azure_batch import (
    CleanUpPolicy,
    ConfigurationError,
    InputFile,
    JobSettings,
    Level,
    NodeFile,
    NodeOutput,
    Outputs,
    PipelineError,
    PlannedTask,
    Policy,
    PoolSettings,
    Run,
    Workload,
    hooks,
    outputs_of,
    place_of,
    plan_workload,
    run_workload,
)

QUICK = JobSettings(poll_interval_s=0.3, max_task_retry_count=0)
NOTHING_KEPT = CleanUpPolicy(containers=Policy.ALWAYS, job=Policy.ALWAYS)

pytestmark = pytest.mark.usefixtures("prefect_harness", "accounts")
clean = pytest.mark.usefixtures("nothing_left")


@dataclass(frozen=True)
class Commands(Workload[Outputs]):
    """Runs a bash command over each input; there is no program."""

    name: ClassVar[str] = "commands"

    command: str = "sort < input > output"

    def plan(self, run: Run, inputs: Sequence[InputFile], pool: PoolSettings) -> Sequence[Level]:  # noqa: ARG002 - however many run at once
        """Plan a batch task for each input."""
        return [[_planned(run, number, source) for number, source in enumerate(inputs)]]

    def commands(self, planned: PlannedTask, folder: str) -> Sequence[str]:  # noqa: ARG002 - no program
        """Return the command."""
        return [self.command]

    def result(self, folder: Path, inputs: Sequence[InputFile], levels: Sequence[Level]) -> Outputs:
        """Return the output of each input."""
        return outputs_of(folder, inputs, levels[0])

    def fingerprint(self, levels: Sequence[Level]) -> bytes:  # noqa: ARG002 - the same for all
        """Return the command."""
        return self.command.encode()


def _planned(run: Run, number: int, source: InputFile) -> PlannedTask:
    output = f"{source.name}.sorted"
    return PlannedTask(
        id=f"sort{number}",
        inputs=(source.name,),
        arguments=(),
        files=(NodeFile(place_of(run, source), "input"),),
        outputs=(output,),
        results=(output,),
        uploads=(NodeOutput("output", output),),
    )


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    """Two inputs in the working directory."""
    (tmp_path / "a.txt").write_text("b\na\n")
    (tmp_path / "b.txt").write_text("d\nc\n")


@flow(**hooks)
def made(command: str, clean_up: CleanUpPolicy, resume: str | None = None) -> list[str]:
    """Return what is in the outputs of a command."""
    rows = run_workload(
        Commands(command), ["b.txt", "a.txt"], job=QUICK, clean_up=clean_up, resume=resume
    )
    return [Path(row.path).read_text() for row in rows]


@clean
def test_outputs_of_a_workload() -> None:
    """A flow gets them in the order of the inputs, and nothing is left on the services."""
    assert made("sort < input > output", CleanUpPolicy()) == ["c\nd\n", "a\nb\n"]


@clean
def test_failure_of_a_workload() -> None:
    """A command that fails is the error of the flow; nothing is left if nothing is to be kept."""
    with pytest.raises(PipelineError, match=r"exit code 4(.|\n)*no luck"):
        made("echo no luck >&2; exit 4", NOTHING_KEPT)


@clean
def test_exception_in_a_workload(tmp_path: Path) -> None:
    """Whatever a method raises is the error of the flow, and the clean-up is done all the same."""

    class Broken(Commands):
        """Cannot read its outputs."""

        def result(self, *_: object) -> Outputs:
            """Fail."""
            raise ZeroDivisionError("no result")

    @flow(**hooks)
    def broken() -> None:
        """Run it."""
        run_workload(Broken(), ["a.txt"], job=QUICK, clean_up=NOTHING_KEPT)

    with pytest.raises(ZeroDivisionError, match="no result"):
        broken()

    assert (tmp_path / "results" / "a.txt.sorted").read_text() == "a\nb\n"


@clean
def test_exception_in_the_flow() -> None:
    """What a flow does before and after its workload can fail without leaving anything."""

    @flow(**hooks)
    def unlucky() -> None:
        """Fail with all outputs there."""
        run_workload(Commands(), ["a.txt"], job=QUICK)
        raise ZeroDivisionError("afterwards")

    with pytest.raises(ZeroDivisionError, match="afterwards"):
        unlucky()


@clean
def test_workload_is_resumed(tmp_path: Path) -> None:
    """A run of a workload that failed is continued like any other: what was done is not repeated.

    The command, which is a part of the fingerprint, is the same; what it meets is not.
    """
    notes = tmp_path / "notes"
    command = (
        f'grep -q b input || [ -e "{tmp_path}/fixed" ]\n'
        f'echo "$AZ_BATCH_TASK_ID" >> "{notes}"; sort < input > output'
    )

    with pytest.raises(PipelineError, match="exit code 1") as raised:
        made(command, CleanUpPolicy())
    (tmp_path / "fixed").touch()
    name = "".join(raised.value.__notes__).partition("resume=")[2].split()[0]

    assert made(command, CleanUpPolicy(), name) == ["c\nd\n", "a\nb\n"]
    assert sorted(notes.read_text().split()) == ["sort0", "sort1"]


@clean
def test_plan_of_a_workload() -> None:
    """A plan says what would be created, and nothing is."""

    @flow
    def planned() -> dict[str, str]:
        """Plan only."""
        return dict(plan_workload(Commands(), ["a.txt", "b.txt"]).rows())

    rows = planned()

    assert rows["batch tasks"] == "2: 2 for one file each"
    assert rows["inputs"] == "2 (8 bytes)"


def test_a_workload_needs_a_flow_run() -> None:
    """Its resources are named by the flow run: without one the error says what to write."""
    with pytest.raises(ConfigurationError, match=r"decorated with @flow\(\*\*hooks\)"):
        run_workload(Commands(), ["a.txt"])


def test_unknown_options_are_refused(tmp_path: Path) -> None:
    """A misspelt option is an error, not ignored, before anything is looked at."""

    @flow
    def misspelt() -> None:
        """Call with an option that does not exist."""
        options: dict[str, Any] = {"outptu_dir": str(tmp_path / "out")}
        run_workload(Commands(), ["a.txt"], **options)

    with pytest.raises(ConfigurationError, match=r"no option 'outptu_dir'.*output_dir"):
        misspelt()
    assert not (tmp_path / "out").exists()

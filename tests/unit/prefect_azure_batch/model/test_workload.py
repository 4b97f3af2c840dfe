"""What a workload that defines four methods is by default."""

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest

from prefect_azure_batch.errors import OutputDamaged
from prefect_azure_batch.model.result import Outputs, outputs_of
from prefect_azure_batch.model.run import Run, new_run
from prefect_azure_batch.model.tasks import BlobPlace, InputFile, Level, PlannedTask, Upload
from prefect_azure_batch.model.workload import Workload
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings

RUN = new_run(UUID(int=1), 1, JobSettings(), CleanUpPolicy())
BLOB = InputFile("b", 2, blob=BlobPlace("texts", "b"))
INPUTS = [InputFile("a", 1, path="/in/a"), BLOB]


class Copying(Workload[Outputs]):
    """Each input is copied."""

    def plan(self, run: Run, inputs: Sequence[InputFile], pool: PoolSettings) -> Sequence[Level]:  # noqa: ARG002 - one for each input
        """Plan a batch task for each input."""
        names = (source.name for source in inputs)
        return [[PlannedTask(name, (name,), (), (), (name,), (name,)) for name in names]]

    def commands(self, planned: PlannedTask, folder: str) -> Sequence[str]:  # noqa: ARG002 - needs no files
        """Copy the input."""
        return [f"cp {planned.id} copy"]

    def result(self, folder: Path, inputs: Sequence[InputFile], levels: Sequence[Level]) -> Outputs:
        """Return the copies."""
        return outputs_of(folder, inputs, levels[0])

    def fingerprint(self, levels: Sequence[Level]) -> bytes:  # noqa: ARG002 - it has no settings
        """Depend on nothing but the inputs."""
        return b""


COPYING = Copying()
((FIRST, _),) = COPYING.plan(RUN, INPUTS, PoolSettings())


def test_every_input_is_taken() -> None:
    """No beginning of a file is refused, no blob is looked into, and no name is taken."""
    assert COPYING.refusal(b"\0\0") == ""
    assert COPYING.blobs_to_examine([BLOB]) == ()
    assert not COPYING.is_reserved("bundle0.tar")


def test_nodes_need_nothing() -> None:
    """There is nothing to check, to upload for every node, or to set up on it."""
    COPYING.check()

    assert COPYING.node_files(RUN) == ()
    assert COPYING.set_up("folder") == ()


def test_programs_are_given_no_container() -> None:
    """The service uploads what the plan says."""
    assert COPYING.output_url_variable is None


def test_it_is_named_in_general_words() -> None:
    """Its artifacts and errors have names."""
    assert (COPYING.name, COPYING.input_kind) == ("workload", "file")


def test_plan_has_no_rows_of_its_own() -> None:
    """It says no more than of every other work."""
    assert COPYING.plan_rows(INPUTS) == {}


def test_files_of_this_machine_are_uploaded_as_they_are() -> None:
    """Blobs are there already."""
    uploads = COPYING.uploads(RUN, INPUTS, [FIRST])

    assert uploads == [Upload(BlobPlace(RUN.input_container, "a"), Path("/in/a"), 1)]


def test_what_is_there_is_whole() -> None:
    """Outputs may be empty, and need no digest."""
    assert COPYING.trusts(0, b"")


def test_results_are_not_archives(tmp_path: Path) -> None:
    """An archive that nobody can unpack is damaged."""
    with pytest.raises(OutputDamaged, match=r"^this workload has no archives"):
        COPYING.unpack(FIRST, tmp_path / "a", tmp_path)


def test_what_only_the_workload_can_say_has_no_default() -> None:
    """Plan, commands, result and fingerprint are its own; mypy asks for them too."""

    class Nothing(Workload[Outputs]):
        """Says nothing."""

    nothing = Nothing()  # type: ignore[abstract]
    with pytest.raises(NotImplementedError):
        nothing.plan(RUN, INPUTS, PoolSettings())
    with pytest.raises(NotImplementedError):
        nothing.commands(FIRST, "folder")
    with pytest.raises(NotImplementedError):
        nothing.result(Path(), INPUTS, [[FIRST]])
    with pytest.raises(NotImplementedError):
        nothing.fingerprint([[FIRST]])

"""Which batch tasks are made of which inputs."""

from uuid import UUID

import pytest

from flows.word_count.packing import (
    BIG_FILE_BYTES,
    BLOBS_IN_A_BUNDLE,
    BUNDLE_BYTES,
    FILES_IN_A_BUNDLE,
    plan_batch_tasks,
)
from flows.word_count.settings import CountSettings
from prefect_azure_batch.model.run import Run, new_run
from prefect_azure_batch.model.tasks import BlobPlace, InputFile, NodeFile, PlannedTask
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings

A_FILE = InputFile("a.txt", 1)
AUTO = CountSettings(files_per_batch_task="auto")
ALONE = PoolSettings(task_slots_per_node=1)
MEBIBYTE = 1024**2


def files(number: int, size: int = 1000) -> list[InputFile]:
    """Return inputs of this machine, all of one size."""
    return [InputFile(f"{index}.txt", size) for index in range(number)]


def blobs(number: int, size: int = 1000) -> list[InputFile]:
    """Return inputs in Blob Storage, all of one size."""
    return [
        InputFile(f"{index}.txt", size, blob=BlobPlace("texts", f"in/{index}.txt"))
        for index in range(number)
    ]


def names(planned: list[PlannedTask]) -> list[str]:
    """Return the inputs of all batch tasks in their order."""
    return [name for item in planned for name in item.inputs]


@pytest.fixture
def run() -> Run:
    """A run."""
    return new_run(UUID(int=0xABC), 1, JobSettings(), CleanUpPolicy())


def test_one_batch_task_per_input(run: Run) -> None:
    """By default every input has a batch task of its own, numbered as in the tutorial."""
    planned = plan_batch_tasks(run, [A_FILE, InputFile("b", 2)], 3, CountSettings())

    assert [(item.id, item.inputs, item.results) for item in planned] == [
        ("topNtask0", ("a.txt",), ("a_OUTPUT.txt",)),
        ("topNtask1", ("b",), ("b_OUTPUT",)),
    ]


def test_uploaded_input_is_read_from_the_input_container(run: Run) -> None:
    """A file of this machine is read from where it is uploaded to, a blob from where it is."""
    blob = BlobPlace("texts", "deep/b.txt")
    planned = plan_batch_tasks(run, [A_FILE, InputFile("b.txt", 1, blob=blob)], 3, CountSettings())

    assert [item.files for item in planned] == [
        (NodeFile(BlobPlace(run.input_container, "a.txt"), "input/a.txt"),),
        (NodeFile(blob, "input/b.txt"),),
    ]


def test_delay_is_given_only_if_asked_for(run: Run) -> None:
    """A delay of 0 leaves no argument; any other is given in seconds."""
    plain = plan_batch_tasks(run, [A_FILE], 3, CountSettings())[0]
    delayed = plan_batch_tasks(run, [A_FILE], 3, CountSettings(delay_s=1.5))[0]

    assert "--delay" not in plain.arguments
    assert delayed.arguments[-2:] == ("--delay", "1.5")


def test_bundle_of_files(run: Run) -> None:
    """Several files of this machine are one archive and its list, and leave one archive."""
    one, last = plan_batch_tasks(run, files(3), 5, CountSettings(files_per_batch_task=2), ALONE)

    assert one == PlannedTask(
        id="bundle0",
        inputs=("0.txt", "1.txt"),
        arguments=(
            *("--manifest", "bundle0.jsonl", "--bundle", "bundle0.tar"),
            *("--numwords", "5"),
        ),
        files=(
            NodeFile(BlobPlace(run.input_container, "bundles/bundle0.jsonl"), "bundle0.jsonl"),
            NodeFile(BlobPlace(run.input_container, "bundles/bundle0.tar"), "bundle0.tar"),
        ),
        outputs=("bundle0_OUTPUT.tar",),
        results=("bundle0_OUTPUT.tar",),
        kind="for many files each",
        unpacks_to=("0_OUTPUT.txt", "1_OUTPUT.txt"),
    )
    assert (last.id, last.inputs, last.unpacks_to) == ("topNtask2", ("2.txt",), ())


def test_bundle_of_blobs(run: Run) -> None:
    """Several blobs are read where they are, and each leaves its own output."""
    (planned,) = plan_batch_tasks(run, blobs(2), 5, CountSettings(files_per_batch_task=2))

    assert planned.files[1:] == (
        NodeFile(BlobPlace("texts", "in/0.txt"), "bundle0.inputs/0/0.txt"),
        NodeFile(BlobPlace("texts", "in/1.txt"), "bundle0.inputs/1/1.txt"),
    )
    assert planned.results == planned.outputs == ("0_OUTPUT.txt", "1_OUTPUT.txt")
    assert planned.unpacks_to == ()


@pytest.mark.parametrize("number", [1, 3, 4, 5, 100, 1000])
def test_auto_uses_every_slot(run: Run, number: int) -> None:
    """However small the files are, no slot of the pool stays empty while another has two."""
    pool = PoolSettings(dedicated_nodes=1, spot_nodes=1, task_slots_per_node=2)

    planned = plan_batch_tasks(run, files(number), 1, AUTO, pool)

    sizes = [len(item.inputs) for item in planned]
    assert len(planned) == min(4, number)
    assert max(sizes) - min(sizes) <= 1
    assert names(planned) == [source.name for source in files(number)]


def test_auto_limits_bundles(run: Run) -> None:
    """No bundle has more files than a node should lose at once."""
    planned = plan_batch_tasks(run, files(10_000, size=0), 1, AUTO, PoolSettings())

    assert len(planned) == 10
    assert max(len(item.inputs) for item in planned) <= FILES_IN_A_BUNDLE


def test_auto_limits_bytes(run: Run) -> None:
    """Larger files make more bundles, none of them much larger than a bundle should be."""
    planned = plan_batch_tasks(run, files(200, size=MEBIBYTE), 1, AUTO, PoolSettings())

    assert max(len(item.inputs) for item in planned) * MEBIBYTE <= BUNDLE_BYTES
    assert len(planned) <= 5


def test_auto_leaves_big_files_alone(run: Run) -> None:
    """A file that several processes would count has a batch task of its own."""
    inputs = [*files(50), InputFile("big.txt", BIG_FILE_BYTES)]

    planned = plan_batch_tasks(run, inputs, 1, AUTO, PoolSettings())

    assert [item.inputs for item in planned if item.id == "topNtask50"] == [("big.txt",)]
    assert len(planned) == 5


def test_auto_limits_blobs(run: Run) -> None:
    """No batch task has so many blobs that the request would be too large."""
    planned = plan_batch_tasks(run, blobs(500), 1, AUTO, PoolSettings())

    assert max(len(item.inputs) for item in planned) <= BLOBS_IN_A_BUNDLE
    assert sorted(names(planned)) == sorted(source.name for source in blobs(500))


def test_blobs_and_files_share_no_bundle(run: Run) -> None:
    """What is in an archive and what is in Blob Storage go to different batch tasks."""
    mixed = [
        *files(4),
        *(InputFile(f"b{n}", 1, blob=BlobPlace("texts", f"b{n}")) for n in range(4)),
    ]

    planned = plan_batch_tasks(run, mixed, 1, CountSettings(files_per_batch_task=8))

    assert [(item.id, len(item.inputs), len(item.unpacks_to)) for item in planned] == [
        ("bundle0", 4, 4),
        ("bundle1", 4, 0),
    ]


def test_parts_cover_the_input(run: Run) -> None:
    """A large input is cut into parts of nearly equal size that leave out no byte."""
    settings = CountSettings(split_bytes=MEBIBYTE)

    planned = plan_batch_tasks(run, [InputFile("a.txt", 2 * MEBIBYTE + 1)], 5, settings)

    assert [item.arguments[:2] for item in planned] == [
        ("--range", "0-699050"),
        ("--range", "699051-1398101"),
        ("--range", "1398102-2097152"),
    ]


def test_a_part(run: Run) -> None:
    """A part reads its bytes by URL and leaves its counts, which nobody downloads."""
    settings = CountSettings(split_bytes=MEBIBYTE)

    planned = plan_batch_tasks(run, [InputFile("a.txt", 2 * MEBIBYTE)], 5, settings, ALONE)

    assert planned[1] == PlannedTask(
        id="topNtask0-part1",
        inputs=("a.txt",),
        arguments=(
            *("--range", "1048576-2097151", "--counts", "topNtask0-part1.counts.gz"),
            *("--output", "topNtask0-part1_OUTPUT.txt", "--numwords", "5"),
        ),
        files=(),
        outputs=("topNtask0-part1.counts.gz", "topNtask0-part1_OUTPUT.txt"),
        results=(),
        kind="for parts of files",
        read_urls=(("TOP_WORDS_INPUT_URL", BlobPlace(run.input_container, "a.txt")),),
    )


@pytest.mark.parametrize(
    "source", [InputFile("a.gz", 2 * MEBIBYTE, is_gzip=True), InputFile("a.txt", MEBIBYTE)]
)
def test_not_split(run: Run, source: InputFile) -> None:
    """What is compressed, or not larger than a part, is counted whole."""
    planned = plan_batch_tasks(run, [source], 1, CountSettings(split_bytes=MEBIBYTE))

    assert [item.id for item in planned] == ["topNtask0"]


@pytest.mark.parametrize("inputs", [files(1), files(2), blobs(2)], ids=("one", "files", "blobs"))
def test_total_needs_counts(run: Run, inputs: list[InputFile]) -> None:
    """With a total, every batch task leaves its counts too, which are no result of their own."""
    settings = CountSettings(files_per_batch_task=2, total=True)

    (planned,) = plan_batch_tasks(run, inputs, 1, settings)

    counts = f"{planned.id}.counts.gz"
    assert counts == planned.arguments[planned.arguments.index("--counts") + 1]
    assert planned.outputs == (*planned.results, counts)


def test_equal_inputs_make_equal_plans(run: Run) -> None:
    """A repeated run finds the same batch tasks again."""
    plans = [plan_batch_tasks(run, files(777), 1, AUTO, PoolSettings()) for _ in range(2)]

    assert plans[0] == plans[1]


@pytest.mark.parametrize(
    ("number", "nodes", "slots", "given"),
    [(10, 1, 4, "4"), (10, 4, 4, "3"), (4, 4, 4, None), (10, 1, 1, None), (1, 1, 4, None)],
)
def test_slots(run: Run, number: int, nodes: int, slots: int, given: str | None) -> None:
    """A batch task knows how many share its node's cores; nothing if it has them to itself."""
    pool = PoolSettings(dedicated_nodes=nodes, task_slots_per_node=slots)

    arguments = plan_batch_tasks(run, files(number), 1, CountSettings(), pool)[0].arguments

    assert given == (arguments[-1] if arguments[-2] == "--slots" else None)


@pytest.mark.parametrize(
    ("encoding", "num_parts"), [("cp1252", 2), ("shift_jis", 2), ("utf-16", 1), ("gb18030", 1)]
)
def test_only_what_can_be_cut_is_split(run: Run, encoding: str, num_parts: int) -> None:
    """A text is in one batch task where a cut could fall within a character."""
    settings = CountSettings(split_bytes=MEBIBYTE, encoding=encoding)

    planned = plan_batch_tasks(run, files(1, 2 * MEBIBYTE), 1, settings)

    assert len(planned) == num_parts
    for each in planned:
        assert each.arguments[each.arguments.index("--encoding") + 1] == encoding


def test_how_undecodable_bytes_are_taken_is_said_only_if_asked_for(run: Run) -> None:
    """UTF-8 with a warning is the program's own default; a name of it makes no other plan."""
    plain = plan_batch_tasks(run, [A_FILE], 1, CountSettings())
    strict = CountSettings(on_undecodable="refuse")

    assert plan_batch_tasks(run, [A_FILE], 1, CountSettings(encoding="UTF8")) == plain
    (planned,) = plan_batch_tasks(run, [A_FILE], 1, strict)
    assert planned.arguments == (*plain[0].arguments, "--on-undecodable", "refuse")

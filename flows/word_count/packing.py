"""Which batch tasks are made of the inputs; pure.

One file each, as the tutorial has it; many small files together, as a bundle; or one huge file in
many parts. Equal inputs and settings make equal plans, so a repeated run finds its own again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from math import ceil

from flows.word_count.encodings import UTF_8, can_be_cut
from flows.word_count.merging import counts_of
from flows.word_count.output_names import words_name_of
from flows.word_count.settings import CountSettings
from prefect_azure_batch import (
    BlobPlace,
    InputFile,
    NodeFile,
    PlannedTask,
    PoolSettings,
    Run,
    place_of,
)

# Some seconds of counting on one core: little is lost with a node, and little is spent on each
# batch task's own second.
BUNDLE_BYTES = 64 * 1024**2
# Opening a file and writing its output takes as long as counting 64 KiB.
FILES_IN_A_BUNDLE = 1024
# Each is a URL of half a kilobyte in a request, which may have a megabyte.
BLOBS_IN_A_BUNDLE = 50
# From here on the node program counts one file in several processes; in a bundle it would not.
BIG_FILE_BYTES = 4 * 1024**2
# What the program reads a byte range from.
INPUT_URL_VARIABLE = "TOP_WORDS_INPUT_URL"
# Apart from what the program writes.
INPUT_FOLDER = "input"

DEFAULT_POOL = PoolSettings()


def plan_batch_tasks(
    run: Run,
    inputs: Sequence[InputFile],
    num_words: int,
    settings: CountSettings,
    pool: PoolSettings = DEFAULT_POOL,
) -> list[PlannedTask]:
    """Plan the batch tasks that read the inputs.

    Args:
        run: names the containers.
        inputs: what is counted.
        num_words: how many words each output has, at least 1.
        settings: how they are packed or split, whether counts are wanted, and the delay.
        pool: how much can run at once.
    """
    planned: list[PlannedTask] = []
    num_bundles = 0
    for group in _groups(inputs, settings, num_slots(pool)):
        (number, source), *others = group
        if others:
            sources = [source for _, source in group]
            planned.append(_bundle(run, f"bundle{num_bundles}", sources, settings))
            num_bundles += 1
        elif is_split(source, settings):
            planned += _parts(run, f"topNtask{number}", source, settings)
        else:
            planned.append(_one(run, f"topNtask{number}", source, settings))
    common = _common_arguments(len(planned), num_words, settings, pool)
    return [replace(item, arguments=(*item.arguments, *common)) for item in planned]


def num_slots(pool: PoolSettings) -> int:
    """Return how many batch tasks can run at once, as far as the settings say."""
    return _num_nodes(pool) * pool.task_slots_per_node


def _num_nodes(pool: PoolSettings) -> int:
    return max(1, pool.dedicated_nodes + pool.spot_nodes)


def is_split(source: InputFile, settings: CountSettings) -> bool:
    """Tell whether an input is counted in parts: not if it is compressed, or cannot be cut."""
    is_plain = not source.is_gzip and can_be_cut(settings.encoding)
    return is_too_large(source, settings) and is_plain


def is_too_large(source: InputFile, settings: CountSettings) -> bool:
    """Tell whether an input is larger than one part may be."""
    return settings.split_bytes is not None and source.size > settings.split_bytes


def archive_of(run: Run, batch_task_id: str) -> BlobPlace:
    """Return the blob that holds a bundle's inputs; no input may have this name."""
    return BlobPlace(run.input_container, f"bundles/{batch_task_id}.tar")


def manifest_of(run: Run, batch_task_id: str) -> BlobPlace:
    """Return the blob that lists a bundle's inputs."""
    return BlobPlace(run.input_container, f"bundles/{batch_task_id}.jsonl")


Numbered = tuple[int, InputFile]


def _groups(
    inputs: Sequence[InputFile], settings: CountSettings, num_slots: int
) -> list[list[Numbered]]:
    """Return the inputs of each batch task, in the order of their first ones."""
    numbered = list(enumerate(inputs))
    packed = [item for item in numbered if not _is_alone(item[1], settings)]
    groups = [[item] for item in numbered if _is_alone(item[1], settings)]
    files = [item for item in packed if item[1].blob is None]
    blobs = [item for item in packed if item[1].blob is not None]
    for kind, most in ((files, FILES_IN_A_BUNDLE), (blobs, BLOBS_IN_A_BUNDLE)):
        if settings.files_per_batch_task == "auto":
            groups += _balanced(kind, num_slots, most)
        else:
            size = settings.files_per_batch_task
            groups += (kind[start : start + size] for start in range(0, len(kind), size))
    return sorted(groups)


def _is_alone(source: InputFile, settings: CountSettings) -> bool:
    is_automatic = settings.files_per_batch_task == "auto"
    return is_split(source, settings) or (is_automatic and source.size >= BIG_FILE_BYTES)


def _balanced(items: Sequence[Numbered], num_slots: int, most: int) -> Iterable[list[Numbered]]:
    """Cut small inputs into bundles of nearly equal work, enough of them for all slots."""
    # With this added to each, a bundle that is not too large has not too many either.
    weights = [source.size + BUNDLE_BYTES // most for _, source in items]
    total, before = sum(weights), 0
    num_bundles = max(min(num_slots, len(items)), ceil(total / BUNDLE_BYTES))
    bundle_of: dict[int, int] = {}
    for (number, _), weight in zip(items, weights, strict=True):
        bundle_of[number] = (before + weight // 2) * num_bundles // total
        before += weight
    return [list(group) for _, group in groupby(items, lambda item: bundle_of[item[0]])]


def _one(run: Run, batch_task_id: str, source: InputFile, settings: CountSettings) -> PlannedTask:
    counts = (counts_of(batch_task_id),) if settings.total else ()
    path, output = f"{INPUT_FOLDER}/{source.name}", words_name_of(source.name)
    return PlannedTask(
        id=batch_task_id,
        inputs=(source.name,),
        arguments=(f"--filepath={path}", f"--output={output}", *_counts_arguments(counts)),
        files=(NodeFile(place_of(run, source), path),),
        outputs=(output, *counts),
        results=(output,),
    )


def _parts(
    run: Run, batch_task_id: str, source: InputFile, settings: CountSettings
) -> Iterable[PlannedTask]:
    """Plan the parts of an input: of nearly equal size, none larger than asked for."""
    num_parts = ceil(source.size / (settings.split_bytes or source.size))
    starts = [source.size * number // num_parts for number in range(num_parts + 1)]
    for number in range(num_parts):
        part_id = f"{batch_task_id}-part{number}"
        counts = (counts_of(part_id),)
        output = f"{part_id}_OUTPUT.txt"
        span = f"{starts[number]}-{starts[number + 1] - 1}"
        yield PlannedTask(
            id=part_id,
            inputs=(source.name,),
            arguments=("--range", span, *_counts_arguments(counts), "--output", output),
            files=(),
            outputs=(*counts, output),
            results=(),
            kind="for parts of files",
            read_urls=((INPUT_URL_VARIABLE, place_of(run, source)),),
        )


def _bundle(
    run: Run, batch_task_id: str, sources: Sequence[InputFile], settings: CountSettings
) -> PlannedTask:
    """Plan one batch task for many inputs: in an archive, or where they are already."""
    counts = (counts_of(batch_task_id),) if settings.total else ()
    manifest = manifest_of(run, batch_task_id)
    files = [NodeFile(manifest, f"{batch_task_id}.jsonl")]
    arguments = ["--manifest", f"{batch_task_id}.jsonl", *_counts_arguments(counts)]
    is_archive = sources[0].blob is None
    if is_archive:
        files.append(NodeFile(archive_of(run, batch_task_id), f"{batch_task_id}.tar"))
        arguments += ["--bundle", f"{batch_task_id}.tar"]
        results = [f"{batch_task_id}_OUTPUT.tar"]
    else:
        # By numbers: one blob may have the name of another's folder, which no disk would take.
        files += [
            NodeFile(
                place_of(run, source),
                f"{batch_task_id}.inputs/{number}/{source.name.rpartition('/')[2]}",
            )
            for number, source in enumerate(sources)
        ]
        results = [words_name_of(source.name) for source in sources]
    return PlannedTask(
        id=batch_task_id,
        inputs=tuple(source.name for source in sources),
        arguments=tuple(arguments),
        files=tuple(files),
        outputs=(*results, *counts),
        results=tuple(results),
        kind="for many files each",
        unpacks_to=tuple(words_name_of(source.name) for source in sources) if is_archive else (),
    )


def _counts_arguments(counts: Sequence[str]) -> list[str]:
    return ["--counts", *counts] if counts else []


def _common_arguments(
    num_tasks: int, num_words: int, settings: CountSettings, pool: PoolSettings
) -> list[str]:
    arguments = ["--numwords", str(num_words)]
    arguments += ["--encoding", settings.encoding] if settings.encoding != UTF_8 else []
    arguments += ["--on-undecodable", "refuse"] if settings.on_undecodable == "refuse" else []
    arguments += ["--delay", f"{settings.delay_s:g}"] if settings.delay_s else []
    at_once = min(pool.task_slots_per_node, ceil(num_tasks / _num_nodes(pool)))
    # Few batch tasks on many slots have the cores to themselves.
    arguments += ["--slots", str(at_once)] if at_once > 1 else []
    return arguments

"""A program of the user's own on the nodes: what it reads, is called with, and leaves; pure.

It is never given a SAS URL: Batch brings its input and takes its output away.
"""

import os
import shlex
from collections.abc import Sequence

from flows.word_count.packing import place_of
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.tasks import InputFile, NodeFile, PlannedTask, output_name_of
from prefect_azure_batch.settings import JobSettings
from prefect_azure_batch.staging.local_inputs import distinct_names

# Apart from what the program itself puts into its working directory.
INPUT_FOLDER = "input"
OUTPUT_FOLDER = "output"
# What Batch uploads is named by a pattern, in which an output's own name could mean another file;
# no output has this one.
UPLOADED = f"{OUTPUT_FOLDER}/uploaded"
NO_OUTPUT_EXIT_CODE = 74
"""Of a batch task whose program exited 0 and wrote no output: EX_IOERR."""


def plan_own_program(
    run: Run, inputs: Sequence[InputFile], settings: JobSettings
) -> list[PlannedTask]:
    """Plan a batch task for each input.

    Args:
        run: names the containers.
        inputs: what is worked on.
        settings: the program's arguments, and what its outputs end with.
    """
    outputs = output_names([source.name for source in inputs], settings.output_suffix)
    return [
        _planned(run, f"task{number}", source, output, settings.program_arguments)
        for number, (source, output) in enumerate(zip(inputs, outputs, strict=True))
    ]


def _planned(
    run: Run, batch_task_id: str, source: InputFile, output: str, arguments: Sequence[str]
) -> PlannedTask:
    path = f"{INPUT_FOLDER}/{source.name}"
    return PlannedTask(
        id=batch_task_id,
        inputs=(source.name,),
        arguments=(*arguments, path, f"{OUTPUT_FOLDER}/{output}"),
        files=(NodeFile(place_of(run, source), path),),
        outputs=(output,),
        results=(output,),
    )


def output_names(input_names: Sequence[str], suffix: str | None) -> list[str]:
    """Return what the outputs of inputs are called, each distinct, letter case aside.

    Args:
        input_names: distinct as well; with one suffix for all their stems can still be equal.
        suffix: what outputs end with; None: as their inputs do.
    """
    if suffix is None:
        return [output_name_of(name) for name in input_names]
    stems = (os.path.splitext(name)[0] for name in input_names)  # noqa: PTH122 - as elsewhere
    return [f"{stem}_OUTPUT{suffix}" for stem in distinct_names(stems)]


def program_commands(path: str, arguments: Sequence[str]) -> list[str]:
    """Return what a batch task runs: the program, and a look whether it wrote its output.

    Args:
        path: of the program on the node, quoted for bash.
        arguments: its own, then INPUT and OUTPUT; they are data, never code.
    """
    output = shlex.quote(arguments[-1])
    told = f"the program (job.program) exited 0 without writing its output {arguments[-1]}"
    fails = f"printf '%s\\n' {shlex.quote(told)} >&2; exit {NO_OUTPUT_EXIT_CODE}"
    return [
        # What a failed try has left would pass for the output of the next one.
        f"rm -rf -- {OUTPUT_FOLDER}",
        f"mkdir -- {OUTPUT_FOLDER}",
        f"python3 {path} {shlex.join(arguments)}",
        f"[ -f {output} ] || {{ {fails}; }}",
        # Into a folder of this name, the output would be moved without an error.
        f"rm -rf -- {UPLOADED}",
        f"mv -- {output} {UPLOADED}",
    ]

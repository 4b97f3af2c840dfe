"""Which batch tasks are made of the inputs; pure."""

from collections.abc import Sequence

from flows.runs import Run
from flows.settings import JobSettings
from flows.work import BlobPlace, InputFile, NodeFile, PlannedTask


def plan_batch_tasks(
    run: Run, inputs: Sequence[InputFile], num_words: int, settings: JobSettings
) -> list[PlannedTask]:
    """Plan one batch task per input, as the tutorial does.

    Args:
        run: names the containers.
        inputs: what is counted.
        num_words: how many words each batch task writes, at least 1.
        settings: the delay.
    """
    return [
        _one(run, f"topNtask{number}", source, num_words, settings)
        for number, source in enumerate(inputs)
    ]


def _one(
    run: Run, batch_task_id: str, source: InputFile, num_words: int, settings: JobSettings
) -> PlannedTask:
    arguments = [f"--filepath={source.name}", "--numwords", str(num_words)]
    arguments += ["--delay", f"{settings.delay_s:g}"] if settings.delay_s else []
    blob = source.blob or BlobPlace(run.input_container, source.name)
    return PlannedTask(
        id=batch_task_id,
        inputs=(source.name,),
        arguments=tuple(arguments),
        files=(NodeFile(blob, source.name),),
        outputs=(source.output_name,),
        results=(source.output_name,),
    )

"""What to run for a job on a node: the command of a task, of its preparation or of its release."""

from pathlib import Path

from local_azure.batch.engine.context import EngineContext
from local_azure.batch.machine.environment import node_environment, settings, task_environment
from local_azure.batch.machine.runner import Command
from local_azure.batch.state.records import Job, Node, task_directory
from local_azure.batch.wire.formats import Json, duration_s


def command_of(context: EngineContext, job: Job, node: Node, task_id: str, given: Json) -> Command:
    """Put a command together with its surroundings.

    Args:
        context: where it will run.
        job: the job whose settings it gets.
        node: the node.
        task_id: what it is called, and its folder.
        given: the command line, files, settings and limits, under their wire names.
    """
    root = Path(node.root)
    directory = root / task_directory(job.id, task_id)
    preparation = job.body.get("jobPreparationTask")
    prepared_in = None
    if preparation is not None and preparation["id"] != task_id:
        prepared_in = root / task_directory(job.id, preparation["id"])
    # A release task has its limit beside its command, all others have it in their constraints.
    limits = given.get("constraints", given)
    return Command(
        directory=directory,
        command_line=given["commandLine"],
        environment={
            **node_environment(context.service.account, context.url, node, directory),
            **task_environment(job.id, task_id, prepared_in),
            **settings(job.body.get("commonEnvironmentSettings")),
            **settings(given.get("environmentSettings")),
        },
        resource_files=given.get("resourceFiles", []),
        output_files=given.get("outputFiles", []),
        limit_s=duration_s(limits, "maxWallClockTime"),
    )

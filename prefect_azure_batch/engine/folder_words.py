"""What placeholders in the name of an output folder stand for, also when the run is resumed."""

import json
from collections.abc import Mapping

from azure.core.exceptions import HttpResponseError
from prefect.runtime import flow_run

from prefect_azure_batch.collecting.folder_names import folder_word, placeholders_of
from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.ownership.heartbeat_blob import GONE
from prefect_azure_batch.service.context import RunContext, WorkContext
from prefect_azure_batch.service.refusals import error_code
from prefect_azure_batch.service.step import step

WORDS_BLOB = "output-folder.json"
# The others follow from the run's id.
REMEMBERED = frozenset({"name", "date"})


def folder_words(context: RunContext, output_dir: str) -> Mapping[str, str]:
    """Return what each placeholder stands for: as when the run first began, if it did before.

    Args:
        context: the run.
        output_dir: only what it has is looked for.

    Raises:
        ConfigurationError: what is beside the run cannot be read.
    """
    run = context.run
    now = {"name": folder_word(str(flow_run.name)), "date": f"{run.started:%Y-%m-%d}"}
    known = recalled_words(context) if placeholders_of(output_dir) & REMEMBERED else {}
    return {**now, **known, "run": run.name}


@step("find the run's output folder")
def recalled_words(context: RunContext) -> Mapping[str, str]:
    """Return what an earlier process of the run has written down; nothing if there was none.

    Raises:
        ConfigurationError: it cannot be read.
    """
    run = context.run
    blob = context.blobs.get_blob_client(run.application_container, WORDS_BLOB)
    try:
        found = json.loads(blob.download_blob().readall())
        return {name: folder_word(str(found[name])) for name in REMEMBERED}
    except HttpResponseError as error:
        if error_code(error) not in GONE:
            raise
        return {}
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(
            f"blob {WORDS_BLOB!r} in container {run.application_container}, which says what "
            f"{{name}} and {{date}} of run {run.name} are, is damaged: write the folder out in "
            "output_dir"
        ) from error


@step("write down the output folder")
def remember_words(context: WorkContext) -> None:
    """Write down, beside the run, what a process that resumes it cannot know."""
    meanings = {name: context.folder_words[name] for name in REMEMBERED}
    blob = context.blobs.get_blob_client(context.run.application_container, WORDS_BLOB)
    blob.upload_blob(json.dumps(meanings).encode(), overwrite=True)

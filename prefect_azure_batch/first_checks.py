"""Mistakes that this machine alone can see: reported in the first second, before Prefect starts."""

from collections.abc import Sequence
from typing import Any

from prefect_azure_batch.collecting.folder_names import known_folder
from prefect_azure_batch.collecting.output_folder import check_not_in_use, check_output_dir
from prefect_azure_batch.model.run import run_id_of
from prefect_azure_batch.model.workload import Workload
from prefect_azure_batch.settings import Selection
from prefect_azure_batch.staging.input_names import Root
from prefect_azure_batch.staging.local_inputs import Search, find_inputs


def check_at_once(  # noqa: PLR0913 - what a run is given
    workload: Workload[Any],
    inputs: Sequence[str],
    selection: Selection,
    *,
    output_dir: str,
    root: str | None,
    resume: str | None,
    plan_only: bool,
) -> None:
    """Check what needs neither an account nor Prefect; the run checks it again.

    Args:
        workload: what runs.
        inputs: as they were given; of blobs only the form is looked at.
        selection: which files of folders and globs are worked on.
        output_dir: may be in use by another run if only a plan is wanted.
        root: what names are relative to, or None.
        resume: the run to continue, or None.
        plan_only: whether nothing is to be created.

    Raises:
        ConfigurationError: it could never work; the message says what to change.
    """
    if resume is not None:
        run_id_of(resume)
    check_output_dir(output_dir)
    if not plan_only:
        check_not_in_use(output_dir)
    workload.check()
    find_inputs(workload, inputs, Search(selection, Root(root), known_folder(output_dir)))

"""Many inputs through one workload on Azure Batch: watched, resumable, nothing left behind."""

from importlib import import_module
from typing import TYPE_CHECKING

from prefect_azure_batch.batch_map import batch_map
from prefect_azure_batch.errors import (
    BadInput,
    ConfigurationError,
    OutputDamaged,
    OutputUnreadable,
    PipelineError,
)
from prefect_azure_batch.settings import (
    CleanUpPolicy,
    JobSettings,
    Policy,
    PoolSettings,
    Selection,
)

if TYPE_CHECKING:
    from prefect_azure_batch.bounded_flow import bounded
    from prefect_azure_batch.clean_up_hooks import hooks
    from prefect_azure_batch.command_line.app import CommandLine, exit_code_of
    from prefect_azure_batch.command_line.options import BatchTaskOptions, RunFlags
    from prefect_azure_batch.command_line.terminal import table_of
    from prefect_azure_batch.credentials.batch import AzureBatchCredentials
    from prefect_azure_batch.credentials.storage import AzureStorageCredentials
    from prefect_azure_batch.messages import without_sas
    from prefect_azure_batch.model.left_out import LeftOut
    from prefect_azure_batch.model.list_file import ListFile
    from prefect_azure_batch.model.names import output_name_of, safe_name
    from prefect_azure_batch.model.result import (
        Cell,
        ExitRecord,
        OutputRow,
        Outputs,
        ResultTables,
        outputs_of,
    )
    from prefect_azure_batch.model.run import Run
    from prefect_azure_batch.model.tasks import (
        BlobPlace,
        FileOnDisk,
        InputFile,
        Level,
        NodeFile,
        NodeOutput,
        PlannedTask,
        Upload,
        is_gzip,
        left_out_of,
        place_of,
        upload_of,
    )
    from prefect_azure_batch.model.workload import Workload
    from prefect_azure_batch.plain_text import one_line
    from prefect_azure_batch.staging.list_files import list_file, title_of
    from prefect_azure_batch.workload_run import RunOptions, plan_workload, run_workload
    from prefect_azure_batch.workloads.python_program import PythonProgram

__all__ = [
    "AzureBatchCredentials",
    "AzureStorageCredentials",
    "BadInput",
    "BatchTaskOptions",
    "BlobPlace",
    "Cell",
    "CleanUpPolicy",
    "CommandLine",
    "ConfigurationError",
    "ExitRecord",
    "FileOnDisk",
    "InputFile",
    "JobSettings",
    "LeftOut",
    "Level",
    "ListFile",
    "NodeFile",
    "NodeOutput",
    "OutputDamaged",
    "OutputRow",
    "OutputUnreadable",
    "Outputs",
    "PipelineError",
    "PlannedTask",
    "Policy",
    "PoolSettings",
    "PythonProgram",
    "ResultTables",
    "Run",
    "RunFlags",
    "RunOptions",
    "Selection",
    "Upload",
    "Workload",
    "batch_map",
    "bounded",
    "exit_code_of",
    "hooks",
    "is_gzip",
    "left_out_of",
    "list_file",
    "one_line",
    "output_name_of",
    "outputs_of",
    "place_of",
    "plan_workload",
    "run_workload",
    "safe_name",
    "table_of",
    "title_of",
    "upload_of",
    "without_sas",
]

_MODULES = {
    "bounded_flow": "bounded",
    "clean_up_hooks": "hooks",
    "command_line.app": "CommandLine exit_code_of",
    "command_line.options": "BatchTaskOptions RunFlags",
    "command_line.terminal": "table_of",
    "credentials.batch": "AzureBatchCredentials",
    "credentials.storage": "AzureStorageCredentials",
    "messages": "without_sas",
    "model.left_out": "LeftOut",
    "model.list_file": "ListFile",
    "model.names": "output_name_of safe_name",
    "model.result": "Cell ExitRecord OutputRow Outputs ResultTables outputs_of",
    "model.run": "Run",
    "model.tasks": "BlobPlace FileOnDisk InputFile Level NodeFile NodeOutput PlannedTask Upload "
    "is_gzip left_out_of place_of upload_of",
    "model.workload": "Workload",
    "plain_text": "one_line",
    "staging.list_files": "list_file title_of",
    "workload_run": "RunOptions plan_workload run_workload",
    "workloads.python_program": "PythonProgram",
}
_WHERE = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    """Import a name when it is first used: Prefect takes seconds, and a command line has not."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names, also those that were not used yet."""
    return __all__

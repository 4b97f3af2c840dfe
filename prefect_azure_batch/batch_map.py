"""`batch_map`: the flow of that name, as a function. It imports Prefect only when it is used."""

from typing import TYPE_CHECKING, Any, Unpack

from prefect_azure_batch.credentials.proxies import bypass_on_this_machine
from prefect_azure_batch.paths import check_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prefect import Flow

    from prefect_azure_batch.model.list_file import ListFile
    from prefect_azure_batch.model.result import Outputs
    from prefect_azure_batch.workload_run import RunOptions


class BatchMap:
    """Run a program over many files on Azure Batch: from a script, or in a flow of your own.

    Example:
        ```python
        from prefect_azure_batch import PoolSettings, batch_map

        rows = batch_map("fit.py --fast", ["data/*.csv"], pool=PoolSettings(spot_nodes=20))
        print([row.path for row in rows])
        ```
    """

    def __call__(
        self,
        command: str,
        inputs: "Sequence[str] | ListFile",
        *,
        output_suffix: str | None = None,
        plan_only: bool = False,
        **options: Unpack["RunOptions"],
    ) -> "Outputs":
        """Run `python3 PROGRAM [ARG ...] INPUT OUTPUT` for each input; a flow run of its own.

        Args:
            command: a Python file and its arguments, split as a shell splits them.
            inputs: files, folders and globs, relative to the working directory, and
                `az://container/prefix` for blobs of the storage account. A list that is too
                long for a parameter of Prefect is written to a file, and the run reads it there.
            output_suffix: what outputs end with, such as `.json`; None: as their inputs do.
            plan_only: say what would be created, and stop.
            options: how; see `RunOptions`.

        Returns:
            One row for each input, in their order: `source`, `name`, `path` and `size`.

        Raises:
            PipelineError: an input has no output; the message says why and what to do.
        """
        # A server of Prefect on this machine is not asked through a proxy.
        bypass_on_this_machine()
        # Prefect could not send them, and would not say which. Inputs may be in a file.
        check_text(command, "command")
        listed = _checked(command, inputs, output_suffix, options, plan_only=plan_only)
        given = {"output_suffix": output_suffix, "plan_only": plan_only, **options}
        return self.flow(command, listed, **given)

    @property
    def flow(self) -> "Flow[..., Outputs]":
        """The flow; deployments name it `prefect_azure_batch.batch_map_flow.batch_map`."""
        from prefect_azure_batch.batch_map_flow import batch_map  # noqa: PLC0415 - imports Prefect

        return batch_map

    def serve(self, name: str, **options: Any) -> None:
        """Serve a deployment of the flow from this process.

        Args:
            name: the deployment's.
            options: as Prefect's `serve` takes them.
        """
        self.flow.serve(name, **_by_module(options))

    def to_deployment(self, name: str, **options: Any) -> Any:
        """Return a deployment of the flow.

        Args:
            name: the deployment's.
            options: as Prefect's `to_deployment` takes them.
        """
        return self.flow.to_deployment(name, **_by_module(options))


def _checked(
    command: str,
    inputs: "Sequence[str] | ListFile",
    suffix: str | None,
    options: "RunOptions",
    *,
    plan_only: bool,
) -> "list[str] | ListFile":
    """Return the inputs as a parameter, after all that needs no service has been checked."""
    # They import Pydantic, which takes a part of a second.
    from prefect_azure_batch.first_checks import check_at_once  # noqa: PLC0415
    from prefect_azure_batch.model.list_file import ListFile  # noqa: PLC0415
    from prefect_azure_batch.settings import Selection  # noqa: PLC0415
    from prefect_azure_batch.staging.list_files import as_parameter, inputs_of  # noqa: PLC0415
    from prefect_azure_batch.workloads.python_program import PythonProgram  # noqa: PLC0415

    check_at_once(
        PythonProgram.from_command(command, suffix),
        inputs_of(inputs),
        # As Prefect takes it: a mapping is one, too.
        Selection.model_validate(options.get("selection", Selection())),
        output_dir=options.get("output_dir", "results"),
        root=options.get("root"),
        resume=options.get("resume") or None,
        plan_only=plan_only,
    )
    return inputs if isinstance(inputs, ListFile) else as_parameter(inputs)


def _by_module(options: dict[str, Any]) -> dict[str, Any]:
    """Name the flow by its module: by its path Prefect would load a second copy of it."""
    from prefect.types.entrypoint import EntrypointType  # noqa: PLC0415 - imports Prefect

    return {"entrypoint_type": EntrypointType.MODULE_PATH, **options}


batch_map = BatchMap()

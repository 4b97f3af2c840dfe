"""A command: options in, a flow run, a table out; it is given the flow, its options and its table.

Prefect takes seconds to import, so that waits until the arguments are known to be good; Azure on
this machine (`--local`) starts meanwhile.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib import metadata
from typing import Any

from cyclopts import App, Parameter
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from rich.table import Table

from prefect_azure_batch.command_line.local_services import (
    services_of_this_machine,
    start_prefect_server,
    stop_prefect_server,
)
from prefect_azure_batch.command_line.options import RunFlags
from prefect_azure_batch.command_line.terminal import (
    ResultFiles,
    asked_here,
    print_json,
    print_result,
    result_files,
    show_steps_only,
    shown_progress,
)
from prefect_azure_batch.credentials.proxies import bypass_on_this_machine
from prefect_azure_batch.errors import ConfigurationError, PipelineError
from prefect_azure_batch.first_checks import check_at_once
from prefect_azure_batch.model.tasks import BLOB_SCHEME
from prefect_azure_batch.model.workload import Workload
from prefect_azure_batch.ownership.unfinished import unfinished
from prefect_azure_batch.paths import check_text
from prefect_azure_batch.plain_text import visible
from prefect_azure_batch.service.signals import own_process
from prefect_azure_batch.settings import Settings, refuse_empty
from prefect_azure_batch.staging.list_files import as_parameter, names_from

PREFECT_DEFAULTS = {
    # A cold start of Prefect's own server takes 20 s and more.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # A server that is lost is given up after seconds, not a minute for every call.
    "PREFECT_CLIENT_MAX_RETRIES": "2",
}
SERVICES_END = (
    "its Azure ends with the command; to be able to resume, start one that stays "
    "(`make local-azure`, or `python -m local_azure up --env-file local-azure.env`), read the "
    "file in your shell (`. ./local-azure.env`), and run the same without --local"
)
FAILED = 1
STOPPED_BY_CTRL_C = 130
EXIT_CODES = """
Exit codes: 0 every input has its output; 1 it failed, with one error on standard error;
2 an option is wrong; 130 stopped by Ctrl-C; 143 by SIGTERM.
"""


@dataclass(frozen=True)
class CommandLine:
    """A command that runs one flow.

    Attributes:
        load_flow: imports the flow; called when the arguments are known to be good.
        table: shows what the flow returned, of at most so many inputs.
    """

    load_flow: Callable[[], Callable[..., Any]]
    table: Callable[[Any, int], Table]

    @staticmethod
    def app(name: str, summary: str, usage: str, examples: str) -> App:
        """Return a command without options: whoever has it adds a function with its own.

        Args:
            name: what it is called.
            summary: what it does, in a sentence.
            usage: its arguments.
            examples: lines for the end of its help.
        """
        app = App(
            name=name,
            help=summary,
            usage=f"Usage: {name} {usage}",
            help_epilogue=f"\nExamples:\n\n{examples}\n{EXIT_CODES}",
            default_parameter=Parameter(show_default=lambda value: str(value) if value else None),
            version=partial(metadata.version, "prefect-azure-batch"),
            # `exit_code_of` says what became of the run.
            suppress_keyboard_interrupt=False,
        )
        app.register_install_completion_command()
        return app

    def run(
        self,
        workload: Workload[Any],
        inputs: Sequence[str],
        parameters: Mapping[str, Any],
        job: Callable[[], Settings],
        flags: RunFlags,
    ) -> None:
        """Check what can be checked at once, run the flow, and print what it returns.

        Args:
            workload: says which inputs it can work on.
            inputs: as they were given.
            parameters: of the flow, beside those that every flow has.
            job: gives the settings of the batch tasks.
            flags: how it is run.

        Raises:
            PipelineError: the run failed, or could not begin.
        """
        refuse_empty(
            output_dir=flags.output_dir,
            resume=flags.resume,
            batch_credentials=flags.batch_credentials,
            storage_credentials=flags.storage_credentials,
        )
        if flags.ask and not sys.stdin.isatty():
            raise ConfigurationError("--ask needs a terminal: run there, or leave it out")
        names = (flags.batch_credentials, flags.storage_credentials)
        settings = {
            "selection": checked(flags.selection.settings),
            "pool": checked(flags.nodes.settings),
            "job": checked(job),
        }
        for name, value in parameters.items():
            if isinstance(value, str):
                check_text(value, name)
        if flags.local and any(names):
            raise ConfigurationError("--local brings its own accounts: give no credentials with it")
        if flags.inputs_from is not None:
            inputs = [*inputs, *names_from(flags.inputs_from)]
        check_at_once(
            workload,
            inputs,
            flags.selection.settings(),
            output_dir=flags.output_dir,
            root=flags.root,
            resume=flags.resume,
            plan_only=flags.plan,
        )
        if flags.local:
            _check_local(inputs, flags.resume)
        began = datetime.now().astimezone()
        own_process(stop_prefect_server)
        with services_of_this_machine(PREFECT_DEFAULTS, wanted=flags.local):
            result, files = self._flow_run(inputs, {**parameters, **settings}, flags)
        if flags.as_json:
            print_json(result, files.json)
        else:
            print_result(result, partial(self.table, result), began, files.folder)

    def _flow_run(
        self, inputs: Sequence[str], parameters: Mapping[str, Any], flags: RunFlags
    ) -> tuple[Any, ResultFiles]:
        from prefect_azure_batch.clean_up import services_end  # noqa: PLC0415 - imports Prefect
        from prefect_azure_batch.service.clients import open_services  # noqa: PLC0415 - imports Prefect

        if flags.local:
            services_end.set(SERVICES_END)
        flow = self.load_flow()
        names = (flags.batch_credentials, flags.storage_credentials)
        with explained(local=flags.local), open_services(*names):
            pass
        start_prefect_server()
        show_steps_only()
        with (
            shown_progress() as hide,
            asked_here(hide, wanted=flags.ask) as policy,
            result_files() as files,
        ):
            result = flow(
                inputs=as_parameter(inputs),
                **parameters,
                output_dir=flags.output_dir,
                batch_credentials=flags.batch_credentials,
                storage_credentials=flags.storage_credentials,
                clean_up=policy,
                plan_only=flags.plan,
                resume=flags.resume,
                root=flags.root,
            )
        return result, files


def _check_local(inputs: Sequence[str], resume: str | None) -> None:
    """Refuse what services that have just started cannot have.

    Raises:
        ConfigurationError: names it, and how to have it.
    """
    if resume:
        raise ConfigurationError(f"--local has nothing to resume: {SERVICES_END}")
    if blobs := next((name for name in inputs if name.startswith(BLOB_SCHEME)), None):
        raise ConfigurationError(
            f"--local starts an empty storage account, without {blobs!r}: name files of this "
            "machine, or use an account that has it, without --local"
        )


def checked(settings: Callable[[], Settings]) -> Settings:
    """Return the settings that options stand for.

    Raises:
        ConfigurationError: they cannot work together.
    """
    try:
        return settings()
    except ValidationError as error:
        raise ConfigurationError("; ".join(map(_reason, error.errors()))) from error


def _reason(item: ErrorDetails) -> str:
    """Return what is wrong with an option, with the name of its field, if it is about one."""
    field = ".".join(map(str, item["loc"]))
    if item["type"] == "string_too_short":
        return f"{field} is empty: give a value, or leave it out"
    text = item["msg"].removeprefix("Value error, ")
    return f"{field}: {text}" if field else text


@contextmanager
def explained(*, local: bool) -> Iterator[None]:
    """Add to an error about the accounts how to do without any.

    Raises:
        ConfigurationError: as raised in the block.
    """
    try:
        yield
    except ConfigurationError as error:
        if not local:
            error.add_note("without an account, --local runs Azure Batch and Blob on this machine")
        raise


def exit_code_of(app: App) -> int:
    """Run a command with the arguments of this process.

    Returns:
        0 if it did all; else another number, and one error on standard error.
    """
    bypass_on_this_machine()
    try:
        return int(app(result_action="return_value") or 0)
    except KeyboardInterrupt:
        sys.stderr.write("\n".join(["stopped by Ctrl-C", *unfinished.values()]) + "\n")
        return STOPPED_BY_CTRL_C
    except Exception as error:  # noqa: BLE001 - the last resort; whatever it is, it is said once
        sys.stderr.write(visible("\n".join([*error_lines(error), *unfinished.values()])) + "\n")
        return FAILED


def error_lines(error: BaseException) -> Iterator[str]:
    """Yield what an error says, and our own error that it came after, if there is one."""
    text = str(error) or type(error).__name__
    if type(error).__module__.partition(".")[0] in {"httpx", "httpcore"}:
        text = f"Prefect's server (PREFECT_API_URL) could not be reached: {text}"
    yield f"error: {text}"
    yield from getattr(error, "__notes__", ())
    before = error.__context__
    while before and not isinstance(before, PipelineError):
        before = before.__context__
    if before and not isinstance(error, PipelineError):
        yield f"after: {before}"
        yield from getattr(before, "__notes__", ())

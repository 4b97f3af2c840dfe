"""What the options that every command has stand for."""

from typing import Any

import pytest
from cyclopts import App

from prefect_azure_batch.command_line.app import checked
from prefect_azure_batch.command_line.options import BatchTaskOptions, RunFlags
from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.settings import JobSettings, PoolSettings, Selection

DEFAULT_FLAGS = RunFlags()
DEFAULT_BATCH_TASKS = BatchTaskOptions()


def parsed(*arguments: str) -> dict[str, Any]:
    """Return the settings that options on a command line stand for."""
    app = App(result_action="return_value")

    @app.default
    def settings(
        flags: RunFlags = DEFAULT_FLAGS, batch_tasks: BatchTaskOptions = DEFAULT_BATCH_TASKS
    ) -> dict[str, Any]:
        """Take them as a command does."""
        return {
            "selection": checked(flags.selection.settings),
            "pool": checked(flags.nodes.settings),
            "job": checked(batch_tasks.settings),
        }

    found: dict[str, Any] = app(arguments, exit_on_error=False, print_error=False)
    return found


def test_nothing_is_the_defaults_of_the_flow() -> None:
    """Without options the settings are those of a flow without parameters."""
    assert parsed() == {"selection": Selection(), "pool": PoolSettings(), "job": JobSettings()}


def test_spot_nodes_alone() -> None:
    """Whoever asks for spot nodes only gets no dedicated one."""
    pool = parsed("--spot-nodes", "3")["pool"]

    assert (pool.dedicated_nodes, pool.spot_nodes) == (0, 3)


def test_options_of_the_nodes() -> None:
    """Each option is a setting of the pool."""
    given = ["--nodes", "2", "--spot-nodes", "1", "--max-nodes", "9", "--vm-size", "large"]
    given += ["--task-slots", "8", "--start-task-command", "apt-get update", "--price", "0.5"]

    assert parsed(*given)["pool"] == PoolSettings(
        dedicated_nodes=2,
        spot_nodes=1,
        max_nodes=9,
        vm_size="large",
        task_slots_per_node=8,
        start_task_command="apt-get update",
        node_price_per_hour=0.5,
    )
    assert parsed("--existing-pool", "mine")["pool"].existing_pool_id == "mine"


def test_options_of_the_batch_tasks() -> None:
    """Each option is a setting of the job."""
    given = ["--retries", "3", "--job-limit-s", "60", "--keep-all-logs"]

    assert parsed(*given)["job"] == JobSettings(
        max_task_retry_count=3, max_wall_clock_time_s=60, keep_all_logs=True
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--nodes", "0"], "at least one node"),
        (["--nodes", "9", "--max-nodes", "8"], "max_nodes"),
        (["--job-limit-s", str(181 * 24 * 3600)], "less than or equal to 15552000"),
    ],
)
def test_settings_that_cannot_work_together(arguments: list[str], reason: str) -> None:
    """They are one sentence, without what a validator says around it."""
    with pytest.raises(ConfigurationError, match=reason) as raised:
        parsed(*arguments)

    assert "\n" not in str(raised.value)
    assert "Value error" not in str(raised.value)


def test_patterns_can_be_repeated() -> None:
    """Every pattern given counts."""
    selection = parsed("--include", "*.txt", "--include", "*.md", "--exclude", "x*")["selection"]

    assert selection == Selection(include=("*.txt", "*.md"), exclude=("x*",))

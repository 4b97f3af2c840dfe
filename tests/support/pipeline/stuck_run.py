"""A run that gets stuck at its end, where no signal may interrupt it: in a queue's lock.

Arguments: the heartbeat's limit in seconds, the folder for outputs, and `own` if the process is
the run's own, as a command's is.
"""

import queue
import sys
from collections.abc import Sequence
from pathlib import Path

from prefect import flow

from prefect_azure_batch import (
    CleanUpPolicy,
    InputFile,
    JobSettings,
    Level,
    Outputs,
    PythonProgram,
    hooks,
    run_workload,
)
from prefect_azure_batch.service.signals import own_process
from tests.support.paths import PROJECT


class Stuck(PythonProgram):
    """A program whose outputs are never read to the end."""

    def result(self, folder: Path, inputs: Sequence[InputFile], levels: Sequence[Level]) -> Outputs:
        """Wait for ever."""
        sys.stdout.write("stuck\n")
        sys.stdout.flush()
        queue.Queue[None]().get()
        return super().result(folder, inputs, levels)


@flow(**hooks)
def stuck(limit_s: int, output_dir: str) -> None:
    """Run it over one file."""
    run_workload(
        Stuck("tasks_node/line_stats.py"),
        [str(PROJECT / "data" / "taskdata1.txt")],
        job=JobSettings(poll_interval_s=0.3),
        clean_up=CleanUpPolicy(heartbeat_limit_s=limit_s),
        output_dir=output_dir,
    )


if __name__ == "__main__":
    if "own" in sys.argv:
        own_process(lambda: None)
    stuck(int(sys.argv[1]), sys.argv[2])

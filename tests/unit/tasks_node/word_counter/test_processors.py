"""How many processors the program uses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.node_program import PROGRAM, run_program
from word_counter.processors import cgroup_quota


@pytest.mark.parametrize(
    ("quotas", "processors"),
    [
        ({"": "max 100000", "a": "150000 100000", "a/b": "400000 100000"}, 1.5),
        ({"a/b": "50000 100000"}, 0.5),
        ({"a": "max 100000"}, None),
    ],
)
def test_the_quota_of_the_control_group_is_read(
    tmp_path: Path, quotas: dict[str, str], processors: float | None
) -> None:
    """The least quota of a process's groups and those above it holds."""
    for group, quota in quotas.items():
        (tmp_path / group).mkdir(parents=True, exist_ok=True)
        (tmp_path / group / "cpu.max").write_text(f"{quota}\n")
    (tmp_path / "own").write_text("0::/a/b\n")

    assert cgroup_quota(str(tmp_path), str(tmp_path / "own")) == processors


@pytest.mark.skipif(sys.platform != "linux", reason="affinity is Linux's")
def test_the_affinity_of_the_process_is_respected(tmp_path: Path) -> None:
    """By default there are no more processes than the process may use processors."""
    processor = min(os.sched_getaffinity(0))
    command = ["taskset", "-c", str(processor), sys.executable, str(PROGRAM)]

    done = subprocess.run(
        [*command, "--filepath", os.devnull, "--numwords", "1"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )

    assert b"at most 1 processes" in done.stdout


def test_slots_share_the_cores(tmp_path: Path) -> None:
    """Beside more batch tasks than there are cores, one process counts."""
    (tmp_path / "a").write_text("a")

    done = run_program(tmp_path, "--filepath", "a", "--numwords", "1", "--slots", "1000")

    assert done.returncode == 0, done.stderr
    assert b"at most 1 processes" in done.stdout


def test_processes_are_not_divided(tmp_path: Path) -> None:
    """Who says how many processes means it."""
    (tmp_path / "a").write_text("a")
    arguments = ("--filepath", "a", "--numwords", "1", "--slots", "4", "--processes", "3")

    assert b"at most 3 processes" in run_program(tmp_path, *arguments).stdout

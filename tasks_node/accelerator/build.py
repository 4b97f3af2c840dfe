"""Build the node program's accelerator for the machines that nodes are: `make accelerator`.

The compiler is the package `ziglang`, which brings the headers and stubs of every libc. What it
makes lies beside `top_words.py` and runs with glibc 2.17 (2012) or newer.
"""

import subprocess
import sys
from pathlib import Path

MACHINES = ("x86_64", "aarch64")
GLIBC = "2.17"
HERE = Path(__file__).resolve().parent


def command(machine: str, folder: Path = HERE.parent) -> list[str]:
    """Return the compiler's command line for a machine.

    Args:
        machine: as `uname -m` names it.
        folder: where the library goes.
    """
    return [
        *(sys.executable, "-m", "ziglang", "cc", "-target", f"{machine}-linux-gnu.{GLIBC}"),
        *("-std=c11", "-O3", "-fno-sanitize=undefined", "-Wall", "-Wextra", "-Werror"),
        *("-shared", "-fPIC", "-s", str(HERE / "top_words.c")),
        *("-o", str(folder / f"top_words-{machine}.so")),
    ]


if __name__ == "__main__":
    for each in MACHINES:
        subprocess.run(command(each), check=True)  # noqa: S603 - a compiler we chose

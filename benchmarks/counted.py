"""Run a script and write down what it took: `python -m benchmarks.counted REPORT SCRIPT ARG...`.

Both SDKs send their requests by urllib3, which logs every answer, repeated requests too: that is
where they are counted, alike for every script, with when the first and the last were answered.
"""

import atexit
import json
import logging
import re
import resource
import runpy
import sys
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

ARGUMENTS_OF_AN_ANSWER = 8


def kind_of(method: str, url: str) -> str:
    """Return what a request is for, without names: `GET jobs/*/tasks`, `PUT blob`."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    pieces = parts.path.strip("/").split("/")
    if "api-version" in query:  # only Batch has it in its URLs
        pieces[1::2] = ["*"] * len(pieces[1::2])
        return f"{method} {'/'.join(pieces)}"
    # Azurite's paths begin with the account.
    what = ("service", "container", "blob")[min(len(pieces), 3) - 1]
    return " ".join([method, what, *query.get("comp", [])])


class Requests(logging.Filter):
    """Counts the answers that urllib3 logs, and lets none of its lines through."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: dict[str, dict[str, float]] = {}
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Count an answer."""
        found = record.args
        if isinstance(found, tuple) and len(found) == ARGUMENTS_OF_AN_ANSWER:
            now = time.monotonic() - self._began
            with self._lock:
                kind = self.kinds.setdefault(
                    kind_of(str(found[3]), str(found[4])),
                    {"number": 0, "bytes": 0, "first_s": now},
                )
                kind["number"] += 1
                kind["bytes"] += int(found[7]) if isinstance(found[7], int) else 0
                kind["last_s"] = now
        return False


def peak_bytes() -> int:
    """Return the most memory that this process has had (Linux)."""
    # The maximum of getrusage is inherited from the process that forked this one.
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def main() -> None:
    """Run the script as if it had been started by itself."""
    _, report, script, *arguments = sys.argv
    requests = Requests()
    logger = logging.getLogger("urllib3.connectionpool")
    logger.setLevel(logging.DEBUG)
    logger.addFilter(requests)

    # Registered first, so that it runs after what the script's libraries do at exit.
    @atexit.register
    def write() -> None:
        """Write the report."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        figures = {"cpu_s": used.ru_utime + used.ru_stime, "peak_bytes": peak_bytes()}
        Path(report).write_text(json.dumps(figures | {"requests": requests.kinds}))

    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()

"""Prefect's pages as a browser shows them (`make test-browser`)."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.pipeline.prefect_server import PrefectServer

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("nothing_left")]

CHROMIUM = (
    *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--window-size=1280,1400", "--virtual-time-budget=15000"),
)


def page(url: str, profile: Path) -> str:
    """Return the text of a page once its scripts have drawn it."""
    done = subprocess.run(
        [*CHROMIUM, f"--user-data-dir={profile}", "--dump-dom", url],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return re.sub(r"<[^>]+>", " ", done.stdout)


def test_flow_run_page_shows_steps_and_result(deployed: PrefectServer, tmp_path: Path) -> None:
    """The page of a flow run has its name, its state, its steps' logs and its task runs."""
    parameters = json.dumps({"inputs": ["data/*.txt"], "output_dir": str(tmp_path / "out")})
    deployed.run(
        *("prefect", "deployment", "run", "top-words/local", "--watch", "--params", parameters)
    )
    runs = deployed.post("/flow_runs/filter", {"flows": {"name": {"any_": ["top-words"]}}})
    run = max(runs, key=lambda item: str(item["created"]))

    text = page(
        f"{deployed.url.removesuffix('/api')}/runs/flow-run/{run['id']}", tmp_path / "profile"
    )

    assert "top 3 words of data/*.txt" in text
    assert "Completed" in text
    assert "has 3 more batch tasks" in text
    steps = deployed.post("/task_runs/count", {"flow_runs": {"id": {"any_": [run["id"]]}}})
    assert f"{steps} Task runs" in text

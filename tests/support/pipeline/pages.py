"""Prefect's pages as somebody sees them who has a small screen, no network and good eyes."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.support.pipeline.prefect_server import PrefectServer, wait_for
from tests.support.processes import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route

WIDTH, HEIGHT = 1280, 800
# Two cores are shared with the server and with what it runs.
TIMEOUT_S = 45
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
# So many pictures in a row that are the same: the graph is drawn in several goes.
STILL = 5
# Of each table that is not in a box of its own with a scroll bar: how far it runs over its column.
OVERHANG = """() => Math.max(document.scrollingElement.scrollWidth - innerWidth,
    ...[...document.querySelectorAll('table')]
        .filter(table => getComputedStyle(table.parentElement).overflowX === 'visible')
        .map(table => table.getBoundingClientRect().right
            - table.parentElement.getBoundingClientRect().right))"""


@dataclass
class Pages:
    """A browser's window.

    Attributes:
        server: whose pages.
        page: what the window shows.
        refused: hosts that the pages asked for and did not get.
    """

    server: PrefectServer
    page: "Page"
    refused: set[str] = field(default_factory=set)

    def open(self, path: str, *texts: str) -> None:
        """Open a page, wait until it shows all texts, and check that it fits the screen."""
        self.page.goto(f"{self.server.url.removesuffix('/api')}/v2/{path}")
        self.see(*texts)

    def see(self, *texts: str) -> None:
        """Wait until all texts are to be seen; nothing may run over its side."""
        for text in texts:
            self.page.get_by_text(text).first.wait_for()
        assert self.page.evaluate(OVERHANG) <= 1

    def tab(self, name: str) -> None:
        """Click on a tab."""
        self.page.get_by_role("tab", name=name).click()

    def send(self, button: str, path: str) -> None:
        """Click on a button that sends something to the API, again if its database is busy."""

        def is_taken() -> bool:
            """Tell whether the server takes it."""
            with self.page.expect_response(lambda answer: answer.url.endswith(path)) as answer:
                self.page.get_by_role("button", name=button).click()
            return int(answer.value.status) != HTTPStatus.SERVICE_UNAVAILABLE

        wait_until(is_taken, TIMEOUT_S)

    def picture(self, name: str, part: "Locator | None" = None) -> None:
        """Save what is to be seen, or a part of it, if `make screenshots` asks for pictures."""
        if not (folder := os.environ.get("SCREENSHOTS")):
            return
        self.page.wait_for_load_state("networkidle")
        seen: list[bytes] = []

        def is_still() -> bool:
            """Tell whether the last pictures are the same."""
            seen.append((part or self.page).screenshot(animations="disabled"))
            return len(seen) >= STILL and len(set(seen[-STILL:])) == 1

        wait_until(is_still, TIMEOUT_S)
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, f"{name}.png").write_bytes(seen[-1])

    def open_artifact(self, run: Any, key: str, *texts: str) -> None:
        """Open the page of an artifact of a flow run."""
        wanted = {"flow_run_id": {"any_": [run["id"]]}, "key": {"any_": [key]}}
        (artifact,) = self.server.post("/artifacts/filter", {"artifacts": wanted})
        self.open(f"artifacts/artifact/{artifact['id']}", *texts)

    def open_run(self, run: Any, *texts: str) -> None:
        """Open the page of a flow run."""
        self.open(f"runs/flow-run/{run['id']}", run["name"], *texts)


@contextmanager
def open_window(server: PrefectServer) -> Iterator[Pages]:
    """Start the system's Chromium, which reaches this machine alone; stop it at the end."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - of the group `browser`

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, locale="en-GB", timezone_id="UTC"
        )
        page.set_default_timeout(1000 * TIMEOUT_S)
        pages = Pages(server, page)

        def reach_only_this_machine(route: "Route") -> None:
            """Let requests to the server pass."""
            host = urlsplit(route.request.url).hostname
            if host == "127.0.0.1":
                route.continue_()
            else:
                pages.refused.add(str(host))
                route.abort()

        page.route("**/*", reach_only_this_machine)
        yield pages
        browser.close()


def start_run(server: PrefectServer, deployment: str, **parameters: Any) -> Any:
    """Have a deployment run with some parameters of its own."""
    found = server.get(f"/deployments/name/{deployment}")
    body = {"parameters": {**found["parameters"], **parameters}, "state": {"type": "SCHEDULED"}}
    return server.post(f"/deployments/{found['id']}/create_flow_run", body)


def wait_for_state(server: PrefectServer, run: Any, *states: str) -> Any:
    """Wait until a flow run is in one of some states, and return it with the name it has then."""

    def found() -> Any:
        """Return the run, if it is."""
        seen = server.get(f"/flow_runs/{run['id']}")
        return seen if seen["state_type"] in states else None

    return wait_for(found, timeout_s=120)

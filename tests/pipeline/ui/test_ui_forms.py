"""The forms in Prefect's pages, as a browser shows and sends them (`make test-browser`)."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from prefect_azure_batch.model.run import new_run
from prefect_azure_batch.ownership.deletion import KindsToDelete, delete_leftovers
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.context import RunContext
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings
from tests.pipeline.conftest import leftovers
from tests.support.pipeline.pages import Pages, open_window, start_run, wait_for_state
from tests.support.pipeline.prefect_server import PrefectServer

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("nothing_left"),
]


@pytest.fixture
def pages(deployed: PrefectServer) -> Iterator[Pages]:
    """A browser's window."""
    with open_window(deployed) as window:
        yield window


@pytest.fixture
def form(pages: Pages) -> Pages:
    """The form with which somebody runs the deployment."""
    deployment = pages.server.get("/deployments/name/top-words/local")
    pages.open(f"deployments/deployment/{deployment['id']}/run", "Parameters", "data/*.txt")
    return pages


def test_deployment(pages: Pages) -> None:
    """The page of the deployment has its schedule, its work pool and its description."""
    deployment = pages.server.get("/deployments/name/top-words/local")
    pages.open(f"deployments/deployment/{deployment['id']}", "At 06:00 AM", "top-words", "Ready")
    pages.tab("Description")

    pages.see("On this machine")


def test_form_has_help(form: Pages) -> None:
    """Parameters have help, their groups have titles and units."""
    form.see(
        *("How many words of each file, at least 1", "Dedicated nodes", "Job limit (s)"),
        *("Delete containers", "Keep (s)", "or ask (a person", "Patterns such as"),
    )

    form.page.get_by_label("Delete pool").evaluate(
        "field => field.scrollIntoView({block: 'center'})"
    )
    form.picture("form")


def test_form_has_defaults(form: Pages) -> None:
    """The fields show what the deployment and the flow set."""
    fields = ("num_words", "VM size", "Dedicated nodes", "Job limit (s)")

    values = [form.page.get_by_label(field).first.input_value() for field in fields]

    assert values == ["3", "standard_d2s_v5", "1", "7200"]


def test_form_offers_choices(form: Pages) -> None:
    """What is one of a few is chosen from a list."""
    form.page.get_by_label("Delete pool").click()

    options = form.page.get_by_role("option").all_inner_texts()

    assert options == ["always", "on_success", "never", "ask"]


def test_form_refuses_a_wrong_number(form: Pages) -> None:
    """A number out of its bounds is reported at the field, and nothing runs."""
    field = form.page.get_by_label("num_words")
    field.fill("0")
    form.page.get_by_role("button", name="Submit").click()

    message = field.evaluate("field => field.validationMessage")

    assert message == "Value must be greater than or equal to 1."
    assert form.page.url.endswith("/run")


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("batch", ("Account name", "Endpoint", "Account key in base64", "Entra ID", "Tenant ID")),
        ("storage", ("Connection string", "Blob endpoint", "Account key in base64", "Client ID")),
    ],
)
def test_block_form(pages: Pages, kind: str, texts: tuple[str, ...]) -> None:
    """The form of a block has a title and help for each field, and hides what is typed as a key."""
    pages.open(f"blocks/catalog/azure-{kind}-credentials/create", *texts)

    assert pages.page.get_by_label("Key (Optional)").get_attribute("type") == "password"


def test_catalog(pages: Pages) -> None:
    """Both blocks are in the catalog, each with what it is for."""
    pages.open("blocks/catalog", "Azure Batch Credentials", "Azure Storage Credentials")

    pages.see("An Azure Batch account: endpoint", "An Azure Storage account: endpoint")


def test_question(pages: Pages, services: Services, tmp_path: Path) -> None:
    """A paused run asks what to delete; what is not ticked stays, and the run completes."""
    policy = {"job": "ask", "pool": "ask"}
    asked = start_run(pages.server, "top-words/local", output_dir=str(tmp_path), clean_up=policy)
    paused = wait_for_state(pages.server, asked, "PAUSED")
    pages.open_run(paused, "Paused")
    # Of the buttons with a menu, that of the run.
    pages.page.locator("button[aria-haspopup=menu]").first.click()
    pages.page.get_by_role("menuitem", name="Resume").click()
    pages.see("The outputs are here.", "Delete the job?", "Delete the pool?")
    pages.picture("question", pages.page.get_by_role("dialog"))

    pages.page.get_by_label("Delete the job?").click()
    pages.send("Resume", "/resume")

    wait_for_state(pages.server, asked, "COMPLETED")
    run = new_run(UUID(asked["id"]), 1, JobSettings(), CleanUpPolicy())
    left = leftovers(services)
    delete_leftovers(RunContext.of(services, run), KindsToDelete(), timeout_s=60)
    assert left == [f"job {run.job_id}", f"container {run.application_container}"]

"""What a step adds to its function: a check, our errors, and patience; called without Prefect."""

from collections.abc import Iterator

import pytest
from azure.core.exceptions import HttpResponseError, IncompleteReadError, ServiceRequestError
from prefect.logging import disable_run_logger
from prefect.states import Failed

from prefect_azure_batch.errors import ConfigurationError, RunLost, ServiceError
from prefect_azure_batch.service import step as step_module
from prefect_azure_batch.service.clients import Services
from prefect_azure_batch.service.step import REPEAT_DELAYS_S, step
from tests.support.contexts import services_of_nowhere

BEFORE_A_RUN = services_of_nowhere()


def alive() -> None:
    """Let the run continue."""


def dead() -> None:
    """Stop the run."""
    raise RunLost("stop")


IN_A_RUN = services_of_nowhere(alive)


@pytest.fixture(autouse=True)
def _without_prefect(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Do without the log of a flow run, and without pauses."""
    monkeypatch.setattr(step_module, "OUTAGE_POLL_S", 0.0)
    with disable_run_logger():
        yield


class Asking:
    """A function of the services that fails with given errors, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.num_calls = 0

    def __call__(self, services: Services, text: str = "") -> str:  # noqa: ARG002 - what a step takes
        """Fail or succeed."""
        self.num_calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return text


def called(asking: Asking, services: Services, *, is_repeated: bool = True) -> str:
    """Make it a step, and call that as Prefect does."""

    @step("create pool", is_repeated=is_repeated)
    def function(services: Services, text: str) -> str:
        """Ask."""
        return asking(services, text)

    return function.fn(services, "done")


def refused() -> HttpResponseError:
    """Return what the SDK raises when a service refuses a call."""
    error = HttpResponseError("refused")
    error.status_code = 403
    return error


def test_result_is_that_of_the_function() -> None:
    """Arguments go in, and the result comes out."""
    assert called(Asking(), IN_A_RUN) == "done"


def test_errors_of_the_sdk_have_the_name_of_the_step() -> None:
    """What a service refuses is a ServiceError that says what was being done."""
    with pytest.raises(ServiceError, match=r"^create pool: .*HttpResponseError: refused"):
        called(Asking(HttpResponseError("refused")), BEFORE_A_RUN)


def test_lost_run_begins_no_step() -> None:
    """A run that may not continue stops before it asks a service."""
    asking = Asking()

    with pytest.raises(RunLost):
        called(asking, services_of_nowhere(dead))

    assert asking.num_calls == 0


def test_no_answer_is_waited_out_once_a_run_has_begun() -> None:
    """A run asks again until an answer comes."""
    asking = Asking(ServiceRequestError("lost"), IncompleteReadError("half"))

    assert called(asking, IN_A_RUN) == "done"
    assert asking.num_calls == 3


def test_check_precedes_every_try() -> None:
    """A run that is lost during an outage does not ask again."""
    asking = Asking(*[ServiceRequestError("lost")] * 9)

    def guard() -> None:
        """Stop the run when it has asked twice."""
        if asking.num_calls == 2:
            dead()

    with pytest.raises(RunLost):
        called(asking, services_of_nowhere(guard))

    assert asking.num_calls == 2


@pytest.mark.parametrize(
    ("services", "is_repeated", "error"),
    [
        (BEFORE_A_RUN, True, ServiceRequestError("lost")),
        (IN_A_RUN, False, ServiceRequestError("lost")),
        (IN_A_RUN, True, refused()),
        (IN_A_RUN, True, ConfigurationError("wrong")),
    ],
    ids=["before a run", "asks again itself", "an answer", "not of a service"],
)
def test_what_is_an_error_at_once(
    services: Services, error: Exception, *, is_repeated: bool
) -> None:
    """Everything but an outage of a run that has begun is an error at the first try."""
    asking = Asking(error)

    with pytest.raises((ServiceError, ConfigurationError)):
        called(asking, services, is_repeated=is_repeated)

    assert asking.num_calls == 1


@pytest.mark.parametrize(("is_repeated", "num_retries"), [(True, len(REPEAT_DELAYS_S)), (False, 0)])
def test_prefect_repeats_a_step(num_retries: int, *, is_repeated: bool) -> None:
    """Prefect repeats it a few times; never a step that asks again by itself."""

    @step("create pool", is_repeated=is_repeated)
    def function(services: Services) -> None:
        """Do nothing."""

    assert function.retries == num_retries


@pytest.mark.parametrize(
    ("error", "is_repeated"),
    [
        (ServiceError("busy", "ServerBusy", 503), True),
        (ServiceError("refused", "AuthenticationFailed", 403), False),
        (ValueError("wrong"), False),
    ],
)
def test_prefect_repeats_what_passes(error: Exception, *, is_repeated: bool) -> None:
    """Only a state with a transient answer in it is tried again."""

    @step("create pool")
    def function(services: Services) -> None:
        """Do nothing."""

    assert function.retry_condition_fn is not None
    condition = function.retry_condition_fn(function, None, Failed(data=error))  # type: ignore[arg-type]
    assert condition is is_repeated

"""What the hook reads from the parameters of a flow that it does not know."""

import pytest

from prefect_azure_batch.clean_up_hooks import _known
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings


@pytest.mark.parametrize("given", [None, "name", 3, ["a"], {}, {"other": 1}])
def test_a_parameter_of_another_kind_says_nothing(given: object) -> None:
    """The clean-up of a run must not fail for what a parameter of its flow happens to be."""
    assert _known(given, PoolSettings) == {}


def test_settings_of_a_workload_are_left_out() -> None:
    """A flow's job can have more settings than every job has."""
    given = {"total": True, "priority": 5}

    assert _known(given, JobSettings) == {"priority": 5}


def test_models_are_read_too() -> None:
    """Parameters can be models, or what the server has kept of them."""
    policy = CleanUpPolicy(keep_s=60)

    assert CleanUpPolicy.model_validate(_known(policy, CleanUpPolicy)) == policy

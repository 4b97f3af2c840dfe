"""Settings refuse what cannot work, and policies decide what is deleted."""

import pytest
from pydantic import BaseModel, ValidationError

from prefect_azure_batch.settings import (
    CleanUpPolicy,
    JobSettings,
    Outcome,
    Policy,
    PoolSettings,
    Selection,
)

MODELS = [PoolSettings, JobSettings, CleanUpPolicy, Selection]


@pytest.mark.parametrize("model", MODELS)
def test_unknown_names_are_refused(model: type[BaseModel]) -> None:
    """A misspelt setting is an error, not ignored."""
    with pytest.raises(ValidationError, match="Extra inputs"):
        model.model_validate({"no_such_setting": 1})


@pytest.mark.parametrize("model", MODELS)
def test_settings_are_frozen(model: type[BaseModel]) -> None:
    """A setting cannot be changed once the run has it."""
    settings = model()

    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings, next(iter(model.model_fields)), 1)


@pytest.mark.parametrize("model", MODELS)
def test_every_field_has_a_title(model: type[BaseModel]) -> None:
    """The form in Prefect's UI has a readable name for each field."""
    assert all(field.title for field in model.model_fields.values())


@pytest.mark.parametrize(
    ("model", "field"),
    [
        (PoolSettings, "dedicated_nodes"),
        (PoolSettings, "task_slots_per_node"),
        (PoolSettings, "allocation_timeout_s"),
        (JobSettings, "max_wall_clock_time_s"),
        (JobSettings, "poll_interval_s"),
        (CleanUpPolicy, "timeout_s"),
    ],
)
def test_zero_is_refused(model: type[BaseModel], field: str) -> None:
    """Counts and times that must be positive refuse zero, and the error names the field."""
    with pytest.raises(ValidationError, match=field):
        model.model_validate({field: 0})


@pytest.mark.parametrize(
    ("model", "field"),
    [(JobSettings, "max_wall_clock_time_s"), (CleanUpPolicy, "keep_s")],
)
def test_times_beyond_the_service_are_refused(model: type[BaseModel], field: str) -> None:
    """No time is longer than the 180 days that a batch task can live."""
    with pytest.raises(ValidationError, match=field):
        model.model_validate({field: 180 * 24 * 3600 + 1})


@pytest.mark.parametrize(
    ("policy", "outcome", "is_deleted"),
    [
        (Policy.ALWAYS, Outcome.SUCCEEDED, True),
        (Policy.ALWAYS, Outcome.FAILED, True),
        (Policy.ALWAYS, Outcome.CANCELLED, True),
        (Policy.ON_SUCCESS, Outcome.SUCCEEDED, True),
        (Policy.ON_SUCCESS, Outcome.FAILED, False),
        (Policy.ON_SUCCESS, Outcome.CANCELLED, True),
        (Policy.NEVER, Outcome.SUCCEEDED, False),
        (Policy.NEVER, Outcome.FAILED, False),
        (Policy.NEVER, Outcome.CANCELLED, False),
    ],
)
def test_policy_table(policy: Policy, outcome: Outcome, is_deleted: bool) -> None:  # noqa: FBT001 - a table
    """Each policy deletes after exactly these outcomes."""
    assert CleanUpPolicy().deletes(policy, outcome) is is_deleted


@pytest.mark.parametrize(
    ("policy", "asked"),
    [
        (CleanUpPolicy(), ()),
        (CleanUpPolicy(pool=Policy.ASK, job=Policy.ASK), ("job", "pool")),
        (CleanUpPolicy(containers=Policy.ASK), ("containers",)),
    ],
)
def test_questions(policy: CleanUpPolicy, asked: tuple[str, ...]) -> None:
    """A person is asked about what has the policy for it, and about nothing else."""
    assert policy.questions == asked


def test_answers_replace_questions() -> None:
    """What a person said holds; what nobody said is as by default, and no question is left."""
    asking = CleanUpPolicy(job=Policy.ASK, pool=Policy.ASK, containers=Policy.ASK)

    answered = asking.answered({"job": False, "containers": True})

    assert (answered.job, answered.pool, answered.containers) == ("never", "always", "always")
    assert asking.answered({}) == CleanUpPolicy()

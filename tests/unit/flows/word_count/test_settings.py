"""Settings of counting refuse what cannot work."""

from typing import Any

import pytest
from pydantic import ValidationError

from flows.word_count.settings import CountSettings
from prefect_azure_batch.settings import JobSettings


def test_unknown_names_are_refused() -> None:
    """A misspelt setting is an error, not ignored."""
    with pytest.raises(ValidationError, match="Extra inputs"):
        CountSettings.model_validate({"no_such_setting": 1})


def test_settings_are_frozen() -> None:
    """A setting cannot be changed once the run has it."""
    with pytest.raises(ValidationError, match="frozen"):
        CountSettings().total = True


def test_every_field_has_a_title() -> None:
    """The form in Prefect's UI has a readable name for each field."""
    assert all(field.title for field in CountSettings.model_fields.values())


def test_settings_of_every_job_are_as_by_default() -> None:
    """Counting adds settings, and changes none."""
    defaults = CountSettings().model_dump()

    assert JobSettings().model_dump().items() <= defaults.items()


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"files_per_batch_task": 0}, "files_per_batch_task"),
        ({"files_per_batch_task": "many"}, "files_per_batch_task"),
        ({"split_bytes": 1024**2 - 1}, "split_bytes"),
        ({"delay_s": -1}, "delay_s"),
        ({"encoding": "klingon"}, "encoding"),
        ({"encoding": "rot13"}, "encoding"),
        ({"on_undecodable": "ignore"}, "on_undecodable"),
        ({"program": ""}, "program"),
        ({"poll_interval_s": 0}, "poll_interval_s"),
    ],
)
def test_values_out_of_bounds(settings: dict[str, Any], field: str) -> None:
    """The error names the field."""
    with pytest.raises(ValidationError, match=field):
        CountSettings.model_validate(settings)


@pytest.mark.parametrize(
    "counting",
    [
        *({"files_per_batch_task": "auto"}, {"split_bytes": 2**21}, {"total": True}),
        *({"delay_s": 1}, {"encoding": "cp1252"}, {"on_undecodable": "refuse"}),
    ],
)
def test_counting_is_not_for_another_program(counting: dict[str, Any]) -> None:
    """A setting that a program of the user's own would ignore is named."""
    with pytest.raises(ValidationError, match=f"{next(iter(counting))}: for the word counter only"):
        CountSettings.model_validate({"program": "fit.py"} | counting)


@pytest.mark.parametrize("settings", [{"program_arguments": ["x"]}, {"output_suffix": ".x"}])
def test_settings_of_a_program_need_one(settings: dict[str, Any]) -> None:
    """Without a program they would be ignored."""
    with pytest.raises(ValidationError, match="are for a program: name one"):
        CountSettings.model_validate(settings)


def test_the_form_begins_with_counting() -> None:
    """What is the counter's own stands before what every job has."""
    shown = list(CountSettings.model_json_schema()["properties"])

    assert shown[:4] == ["files_per_batch_task", "split_bytes", "total", "delay_s"]
    assert shown[-len(JobSettings.model_fields) :] == list(JobSettings.model_fields)
    assert set(shown) == CountSettings.model_fields.keys()

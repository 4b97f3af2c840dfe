"""The batch tasks of the word counter: the settings of every job, and its own."""

from typing import Annotated, Literal, Self

from pydantic import Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from flows.word_count.encodings import UTF_8, encoding_named
from prefect_azure_batch import ConfigurationError, JobSettings

DEFAULT_NUM_WORDS = 3
# A program of one's own is refused beside any of them.
COUNTING = (
    *("files_per_batch_task", "split_bytes", "total", "delay_s"),
    *("encoding", "on_undecodable"),
)


class CountSettings(JobSettings):
    """The batch tasks."""

    files_per_batch_task: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        default=1,
        title="Files per batch task",
        description="How many files one batch task counts; auto: many small ones together.",
    )
    split_bytes: int | None = Field(
        default=None,
        title="Split (bytes)",
        ge=1024**2,
        description="Inputs larger than this are counted in parts of this size, side by side.",
    )
    total: bool = Field(
        default=False,
        title="Total over all inputs",
        description="Also find the most frequent words of all inputs together.",
    )
    delay_s: float = Field(
        default=0,
        title="Delay (s)",
        ge=0,
        description="Seconds each batch task waits, to simulate work.",
    )
    encoding: str = Field(
        default=UTF_8,
        title="Encoding",
        description="Of all texts, such as cp1252, shift_jis or utf-16, as Python names it.",
    )
    on_undecodable: Literal["warn", "refuse"] = Field(
        default="warn",
        title="Bytes that cannot be decoded",
        description="warn: they separate words, and are counted and reported; refuse: the input "
        "has failed.",
    )
    program: str | None = Field(
        default=None,
        title="Your own program",
        description="Goes with the next version: use the flow batch-map. Python file that each "
        "batch task runs instead of the word counter, as `python3 PROGRAM [ARG ...] INPUT OUTPUT`; "
        "relative to the working directory.",
        min_length=1,
    )
    program_arguments: tuple[str, ...] = Field(
        default=(),
        title="Its arguments",
        description="Given to it as they are, before INPUT and OUTPUT; no secrets: they are shown.",
    )
    output_suffix: str | None = Field(
        default=None,
        title="Suffix of its outputs",
        description="Such as `.json`; without one an output ends as its input does.",
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Show the counter's own fields first in the form, those of every job after them."""
        schema = handler(core_schema)
        fields = handler.resolve_ref_schema(schema)["properties"]
        for name in JobSettings.model_fields:
            fields[name] = fields.pop(name)
        return schema

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, name: str) -> str:
        return encoding_named(name)

    @model_validator(mode="after")
    def _check_program(self) -> Self:
        if self.program is None:
            if self.program_arguments or self.output_suffix:
                raise ValueError("program_arguments and output_suffix are for a program: name one")
            return self
        defaults = type(self).model_fields
        asked = [name for name in COUNTING if getattr(self, name) != defaults[name].default]
        if asked:
            raise ValueError(
                f"{' and '.join(asked)}: for the word counter only, not for program {self.program}"
            )
        return self


def check_num_words(num_words: int, program: object) -> None:
    """Refuse a number of words beside a program of one's own.

    Raises:
        ConfigurationError: both are given.
    """
    if program is not None and num_words != DEFAULT_NUM_WORDS:
        raise ConfigurationError(
            f"num_words={num_words} is for the word counter only, not for program {program}"
        )

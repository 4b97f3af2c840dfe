"""The wire as the installed azure-batch package describes it: members, types, what is required.

Made by looking at the package's models, so that it is never older than the package.
"""

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any

from azure.batch import models
from azure.batch._utils.model_base import Model, _RestField

from local_azure.batch.wire.formats import parse_duration, parse_time

_NAMES = {"_models": models, "models": models}


@dataclass(frozen=True)
class Member:
    """A member of a model: its name on the wire, its Python type, and who writes it."""

    name: str
    type: Any
    required: bool
    read_only: bool


@cache
def members(model: type[Model]) -> dict[str, Member]:
    """Return the members of a model by their wire names."""
    hints = typing.get_type_hints(model, globalns={**vars(typing), **_NAMES})
    found = {}
    for attribute, hint in hints.items():
        field = vars(model).get(attribute)
        if isinstance(field, _RestField):
            name = field._rest_name_input or attribute
            optional = type(None) in typing.get_args(hint)
            found[name] = Member(name, hint, not optional, field._visibility == ["read"])
    return found


def model_of(hint: Any) -> type[Model] | None:
    """Return the model in a type: itself, of an optional one, or of the items of a list."""
    if isinstance(hint, type) and issubclass(hint, Model):
        return hint
    return next((found for part in typing.get_args(hint) if (found := model_of(part))), None)


def violations(value: Any, hint: Any, path: str = "") -> Iterator[str]:
    """Say what of a JSON value does not follow a type: unknown, missing and ill-typed members."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        results = [list(violations(value, part, path)) for part in parts if part is not type(None)]
        yield from min(results, key=len)
    elif origin is list:
        if not isinstance(value, list):
            yield f"{path}: {value!r} is not a list"
            return
        for at, item in enumerate(value):
            yield from violations(item, parts[0], f"{path}[{at}]")
    elif isinstance(hint, type) and issubclass(hint, Model):
        yield from _of_model(value, hint, path)
    elif not _fits(value, hint):
        yield f"{path}: {value!r} is not a {hint}"


def _of_model(value: Any, model: type[Model], path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is not an object"
        return
    known = members(model)
    yield from (f"{path}.{name}: unknown" for name in value.keys() - known.keys())
    for name, member in known.items():
        if name in value:
            yield from violations(value[name], member.type, f"{path}.{name}")
        elif member.required:
            yield f"{path}.{name}: missing"


def _fits(value: Any, hint: Any) -> bool:
    if hint is datetime or hint is timedelta:
        return isinstance(value, str) and bool(
            parse_time(value) if hint is datetime else parse_duration(value) is not None
        )
    if isinstance(hint, type) and issubclass(hint, Enum):
        return value in [member.value for member in hint]
    if hint is int:
        # The service writes some integers as strings, and the SDK reads both.
        return (isinstance(value, int) and not isinstance(value, bool)) or str(value).isdecimal()
    return isinstance(value, hint) if isinstance(hint, type) else True

"""Request bodies: which properties an operation takes, of what type, and what the emulator refuses.

A parser takes a property's name and value and gives the value as the emulator keeps it. Unknown
and ill-typed properties are a 400 that names them; what only the real service
has is a 501 that names it. Nothing is silently ignored.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from local_azure.batch.wire.errors import (
    invalid_body,
    invalid_property,
    missing_property,
    not_implemented,
    property_error,
)
from local_azure.batch.wire.formats import Json, parse_duration

Parser = Callable[[str, Any], Any]

_NO_TEXT = re.compile("[\0\ud800-\udfff]")
# No more digits than Python converts.
_NUMBER = re.compile(r"-?[0-9]{1,30}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def string(name: str, value: Any) -> str:
    """Take a string, of characters that a file, a command or a URL can have."""
    if not isinstance(value, str):
        raise invalid_property(name, value, "a string is expected")
    if found := _NO_TEXT.search(value):
        reason = f"it has the character U+{ord(found[0]):04X}, which no text has"
        raise invalid_property(name, value, reason)
    return value


def command_line(name: str, value: Any) -> str:
    """Take a command line, which names a program."""
    if not string(name, value).strip():
        raise invalid_property(name, value, "it is empty")
    return str(value)


def resource_id(name: str, value: Any) -> str:
    """Take an id: 1 to 64 letters, digits, hyphens and underscores."""
    if not _ID.fullmatch(string(name, value)):
        raise invalid_property(
            name, value, "an id has 1 to 64 letters, digits, hyphens and underscores"
        )
    return str(value)


def boolean(name: str, value: Any) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise invalid_property(name, value, "true or false is expected")
    return value


def integer(low: int | None = None, high: int | None = None) -> Parser:
    """Take an integer, also as a string of digits (the az command line sends those)."""

    def parse(name: str, value: Any) -> int:
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise invalid_property(name, value, "an integer is expected")
        if (low is not None and value < low) or (high is not None and value > high):
            raise invalid_property(name, value, f"it must be from {low} to {high}")
        return value

    return parse


def duration(name: str, value: Any) -> str:
    """Take an ISO 8601 duration; it is kept as it was written."""
    try:
        parse_duration(string(name, value))
    except (ValueError, OverflowError) as error:
        raise invalid_property(name, value, "an ISO 8601 duration is expected") from error
    return str(value)


def one_of(*allowed: str) -> Parser:
    """Take one of some words, whatever their case."""

    def parse(name: str, value: Any) -> str:
        found = string(name, value).lower()
        if found not in allowed:
            raise invalid_property(name, value, f"one of {', '.join(allowed)} is expected")
        return found

    return parse


def list_of(parser: Parser) -> Parser:
    """Take a list whose items the parser takes."""

    def parse(name: str, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise invalid_property(name, value, "a list is expected")
        return [parser(f"{name}[{at}]", item) for at, item in enumerate(value)]

    return parse


def unsupported(name: str, value: Any) -> Any:
    """Refuse what the emulator does not have; empty lists and false change nothing and pass."""
    if value in ([], False):
        return value
    raise not_implemented(f"the property {name}")


def only(allowed: Any) -> Parser:
    """Take the one value that the emulator has; any other is a 501."""

    def parse(name: str, value: Any) -> Any:
        if (value.lower() if isinstance(value, str) else value) != allowed:
            raise not_implemented(f"the property {name} with the value {value}")
        return allowed

    return parse


def obj(properties: Mapping[str, Parser], required: tuple[str, ...] = ()) -> Parser:
    """Take an object of these properties; null means absent, and odata.* says nothing new."""

    def parse(name: str, value: Any) -> Json:
        if not isinstance(value, dict):
            raise (
                invalid_property(name, value, "an object is expected")
                if name
                else invalid_body("a JSON object is expected")
            )
        prefix = f"{name}." if name else ""
        given = {
            key: item
            for key, item in value.items()
            if item is not None and not key.startswith("odata.")
        }
        for key in given:
            if key not in properties:
                raise property_error(
                    "InvalidPropertyValue", prefix + key, "there is no such property"
                )
        for key in required:
            if key not in given:
                raise missing_property(prefix + key)
        return {key: properties[key](prefix + key, item) for key, item in given.items()}

    return parse


def read(schema: Parser, body: Any) -> Json:
    """Read a request body.

    Raises:
        BatchError: 400 that names the property, or 501 for what the emulator does not have.
    """
    parsed: Json = schema("", {} if body is None else body)
    return parsed


METADATA = list_of(obj({"name": string, "value": string}, ("name", "value")))
ENVIRONMENT = list_of(obj({"name": string, "value": string}, ("name",)))
USER_IDENTITY = obj(
    {
        "username": unsupported,
        "autoUser": obj(
            {"scope": one_of("task", "pool"), "elevationLevel": one_of("nonadmin", "admin")}
        ),
    }
)
_RESOURCE_FILE = obj(
    {
        "httpUrl": string,
        "storageContainerUrl": string,
        "autoStorageContainerName": unsupported,
        "blobPrefix": string,
        "filePath": string,
        "fileMode": string,
        "identityReference": unsupported,
    }
)


def resource_file(name: str, value: Any) -> Json:
    """Take a resource file: one source, and a path that stays in the working directory."""
    found: Json = _RESOURCE_FILE(name, value)
    if ("httpUrl" in found) == ("storageContainerUrl" in found):
        raise invalid_property(name, value, "one of httpUrl and storageContainerUrl is expected")
    if "httpUrl" in found and not found.get("filePath"):
        raise missing_property(f"{name}.filePath")
    path = PurePosixPath(found.get("filePath", ""))
    if path.is_absolute() or ".." in path.parts:
        reason = "it must stay in the task's working directory"
        raise invalid_property(f"{name}.filePath", found["filePath"], reason)
    mode = found.get("fileMode", "0770")
    if not re.fullmatch(r"[0-7]{3,5}", mode):
        raise invalid_property(f"{name}.fileMode", mode, "an octal file mode is expected")
    return found


RESOURCE_FILES = list_of(resource_file)
OUTPUT_FILES = list_of(
    obj(
        {
            "filePattern": string,
            "destination": obj(
                {
                    "container": obj(
                        {
                            "path": string,
                            "containerUrl": string,
                            "identityReference": unsupported,
                            "uploadHeaders": list_of(
                                obj({"name": string, "value": string}, ("name",))
                            ),
                        },
                        ("containerUrl",),
                    )
                },
                ("container",),
            ),
            "uploadOptions": obj(
                {"uploadCondition": one_of("tasksuccess", "taskfailure", "taskcompletion")},
                ("uploadCondition",),
            ),
        },
        ("filePattern", "destination", "uploadOptions"),
    )
)
TASK_CONSTRAINTS = obj(
    {
        "maxWallClockTime": duration,
        "retentionTime": duration,
        "maxTaskRetryCount": integer(-1),
    }
)
START_TASK = obj(
    {
        "commandLine": command_line,
        "containerSettings": unsupported,
        "resourceFiles": RESOURCE_FILES,
        "environmentSettings": ENVIRONMENT,
        "userIdentity": USER_IDENTITY,
        "maxTaskRetryCount": integer(-1),
        "waitForSuccess": boolean,
    },
    ("commandLine",),
)

"""How the Batch emulator reads request bodies: property by property, nothing ignored."""

from typing import Any

import pytest

from local_azure.batch.calls import schemas
from local_azure.batch.wire.errors import BatchError

PERSON = schemas.obj(
    {"name": schemas.string, "age": schemas.integer(0), "pets": schemas.unsupported}, ("name",)
)


def refusal(schema: schemas.Parser, body: Any) -> tuple[int, str, str]:
    """Return status, code and the named property of an error."""
    with pytest.raises(BatchError) as caught:
        schemas.read(schema, body)
    return caught.value.status, caught.value.code, dict(caught.value.values).get("PropertyName", "")


def test_a_body_is_read() -> None:
    """Integers may be strings, null is absent, annotations say nothing."""
    body = {"name": "Ada", "age": "36", "pets": None, "odata.metadata": "x"}

    assert schemas.read(PERSON, body) == {"name": "Ada", "age": 36}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, (400, "MissingRequiredProperty", "name")),
        ({"name": None}, (400, "MissingRequiredProperty", "name")),
        ({"name": 1}, (400, "InvalidPropertyValue", "name")),
        ({"name": "Ada", "age": -1}, (400, "InvalidPropertyValue", "age")),
        ({"name": "Ada", "age": 1.5}, (400, "InvalidPropertyValue", "age")),
        ({"name": "Ada", "age": True}, (400, "InvalidPropertyValue", "age")),
        ({"name": "Ada", "age": "many"}, (400, "InvalidPropertyValue", "age")),
        ({"name": "Ada", "height": 1}, (400, "InvalidPropertyValue", "height")),
        ([], (400, "InvalidRequestBody", "")),
        ("text", (400, "InvalidRequestBody", "")),
    ],
)
def test_bodies_that_are_not_valid(body: object, expected: tuple[int, str, str]) -> None:
    """The error names the property."""
    assert refusal(PERSON, body) == expected


def test_what_the_emulator_has_not_is_a_501() -> None:
    """A feature is refused, its absence is not."""
    assert refusal(PERSON, {"name": "Ada", "pets": ["dog"]})[:2] == (
        501,
        "NotImplementedByEmulator",
    )
    assert schemas.read(PERSON, {"name": "Ada", "pets": []}) == {"name": "Ada", "pets": []}


def test_names_of_nested_properties_are_whole_paths() -> None:
    """Lists number their items."""
    people = schemas.obj({"people": schemas.list_of(PERSON)})

    assert refusal(people, {"people": [{"name": "Ada"}, {}]})[2] == "people[1].name"


@pytest.mark.parametrize("value", ["a", "A-b_9", "x" * 64])
def test_ids(value: str) -> None:
    """Letters, digits, hyphens and underscores."""
    assert schemas.resource_id("id", value) == value


@pytest.mark.parametrize("value", ["", "x" * 65, "a b", "a.b", "a/b", "ü", "a\n", 1])
def test_ids_that_are_none(value: object) -> None:
    """Nothing else, and no more than 64 of them."""
    with pytest.raises(BatchError):
        schemas.resource_id("id", value)


def test_words_have_no_case() -> None:
    """Enums are read whatever their case."""
    assert schemas.one_of("pool", "task")("scope", "Pool") == "pool"
    with pytest.raises(BatchError):
        schemas.one_of("pool", "task")("scope", "node")


@pytest.mark.parametrize("value", ["P1Y", "soon", 5, "P99999999999999D"])
def test_durations_that_are_none(value: object) -> None:
    """They are a 400, those that are too long for Python too."""
    with pytest.raises(BatchError) as caught:
        schemas.duration("limit", value)
    assert caught.value.code == "InvalidPropertyValue"


@pytest.mark.parametrize(
    "value",
    [
        {"httpUrl": "http://x/y", "filePath": "a/b"},
        {"storageContainerUrl": "http://x/y"},
        {"storageContainerUrl": "http://x/y", "blobPrefix": "p", "filePath": "d"},
        {"httpUrl": "http://x/y", "filePath": "a", "fileMode": "0644"},
    ],
)
def test_resource_files(value: dict[str, str]) -> None:
    """One source each, and a path in the working directory."""
    assert schemas.resource_file("file", value) == value


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({}, "InvalidPropertyValue"),
        ({"httpUrl": "u", "storageContainerUrl": "u", "filePath": "a"}, "InvalidPropertyValue"),
        ({"httpUrl": "u"}, "MissingRequiredProperty"),
        ({"httpUrl": "u", "filePath": "../a"}, "InvalidPropertyValue"),
        ({"httpUrl": "u", "filePath": "a/../../b"}, "InvalidPropertyValue"),
        ({"httpUrl": "u", "filePath": "/etc/passwd"}, "InvalidPropertyValue"),
        ({"httpUrl": "u", "filePath": "a", "fileMode": "rw"}, "InvalidPropertyValue"),
        ({"autoStorageContainerName": "c"}, "NotImplementedByEmulator"),
        ({"httpUrl": "u", "filePath": "a", "identityReference": {}}, "NotImplementedByEmulator"),
    ],
)
def test_resource_files_that_are_not_valid(value: dict[str, Any], code: str) -> None:
    """No path leads out of the working directory."""
    with pytest.raises(BatchError) as caught:
        schemas.resource_file("file", value)
    assert caught.value.code == code


@pytest.mark.parametrize("missing", ["filePattern", "destination", "uploadOptions"])
def test_output_files_are_whole(missing: str) -> None:
    """Pattern, destination and condition are all needed."""
    output = {
        "filePattern": "*",
        "destination": {"container": {"containerUrl": "u"}},
        "uploadOptions": {"uploadCondition": "taskSuccess"},
    }
    assert schemas.OUTPUT_FILES("files", [output])
    del output[missing]
    with pytest.raises(BatchError) as caught:
        schemas.OUTPUT_FILES("files", [output])
    assert dict(caught.value.values)["PropertyName"] == f"files[0].{missing}"

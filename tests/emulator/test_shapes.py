"""Requests and answers, member by member, against the wire as azure-batch describes it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from azure.batch import BatchClient, models
from azure.batch._utils.model_base import Model

from tests.emulator.builders import a_pool, node_of, run, sh
from tests.emulator.emulators import Emulator
from tests.emulator.raw_http import VERSION, Answer, ask
from tests.emulator.wire_description import members, model_of, violations

# What no answer of the emulator has, although the description says that the service sends it.
NOT_SENT = {
    # IPv6 addresses and the VM behind a node: a node here is a folder.
    ".ipv6Address: missing",
    ".virtualMachineInfo: missing",
}
REQUESTS: dict[str, tuple[type[Model], dict[str, Any]]] = {
    "/pools": (models.BatchPoolCreateOptions, {"id": "x", "vmSize": "standard_d2s_v5"}),
    "/jobs": (models.BatchJobCreateOptions, {"id": "x", "poolInfo": {"poolId": "x"}}),
    "/jobs/{job}/tasks": (models.BatchTaskCreateOptions, {"id": "x", "commandLine": "true"}),
}


def send(emulator: Emulator, method: str, path: str, body: object = None) -> Answer:
    """Send a request whatever its answer is: the SDK would raise."""
    data = None if body is None else json.dumps(body).encode()
    return ask(emulator, method, f"{path}?{VERSION}", data)


def paths(model: type[Model], seen: tuple[type[Model], ...] = ()) -> Iterator[tuple[str, ...]]:
    """Give the path of every member that a client may write, nested ones too."""
    for member in members(model).values():
        if member.read_only:
            continue
        yield (member.name,)
        inner = model_of(member.type)
        if inner is not None and inner not in seen:
            yield from ((member.name, *rest) for rest in paths(inner, (*seen, model)))


def nested(path: tuple[str, ...], model: type[Model]) -> Any:
    """Return a value with one member at a path, whose own value is of no type at all."""
    first, *rest = path
    member = members(model)[first]
    inner = model_of(member.type)
    value = nested(tuple(rest), inner) if rest and inner else {"no": "type"}
    is_list = "list[" in str(member.type)
    return {first: [value] if is_list and rest else value}


@pytest.mark.parametrize("url", REQUESTS)
def test_every_member_that_the_sdk_can_send_is_known(
    emulator: Emulator, job: str, url: str
) -> None:
    """No member of the SDK's models is an unknown property: it is read, refused, or a 501."""
    model, minimal = REQUESTS[url]
    unknown = []
    for path in paths(model):
        answer = send(emulator, "POST", url.format(job=job), minimal | nested(path, model))
        assert answer.status in {400, 501}, (path, answer.status)
        values = {item["key"]: item["value"] for item in answer.json.get("values", [])}
        # The value that is put there has one member of its own, which nobody knows.
        is_own = values.get("PropertyName", "").endswith(".no")
        if values.get("Reason") == "there is no such property" and not is_own:
            unknown.append(".".join(path))

    assert unknown == []


@pytest.mark.parametrize("url", REQUESTS)
def test_unknown_member_is_refused_by_name(emulator: Emulator, job: str, url: str) -> None:
    """A property that the service does not have is a 400 that names it."""
    answer = send(emulator, "POST", url.format(job=job), REQUESTS[url][1] | {"noSuchProperty": 1})

    assert answer.status == 400
    assert b"noSuchProperty" in answer.body


@pytest.mark.parametrize(
    ("url", "model"),
    [
        ("/pools/{pool}", models.BatchPool),
        ("/pools/{pool}/nodes/{node}", models.BatchNode),
        ("/jobs/{job}", models.BatchJob),
        ("/jobs/{job}/tasks/{task}", models.BatchTask),
        ("/jobs/{job}/tasks/{failed}", models.BatchTask),
        ("/jobs/{job}/taskcounts", models.BatchTaskCountsResult),
        ("/pools", list[models.BatchPool]),
        ("/pools/{pool}/nodes", list[models.BatchNode]),
        ("/jobs", list[models.BatchJob]),
        ("/jobs/{job}/tasks", list[models.BatchTask]),
        ("/jobs/{job}/tasks/{task}/files", list[models.BatchNodeFile]),
        ("/pools/{pool}/nodes/{node}/files", list[models.BatchNodeFile]),
        ("/supportedimages", list[models.BatchSupportedImage]),
        ("/nodecounts", list[models.BatchPoolNodeCounts]),
    ],
)
def test_answers_follow_the_description(
    emulator: Emulator, lived: dict[str, str], url: str, model: Any
) -> None:
    """Every answer has the required members, no unknown ones, and each of its type."""
    answer = send(emulator, "GET", url.format(**lived))
    body = {name: item for name, item in answer.json.items() if not name.startswith("odata.")}
    value = body["value"] if str(model).startswith("list[") else body

    found = {line.lstrip("[0123456789]") for line in violations(value, model)}

    assert found - NOT_SENT == set()


@pytest.fixture
def lived(batch: BatchClient) -> dict[str, str]:
    """A pool with a start task, a job and two completed tasks, one of them failed."""
    start = models.BatchStartTask(command_line="true", wait_for_success=True)
    metadata = [models.BatchMetadataItem(name="a", value="b")]
    pool = a_pool(batch, start_task=start, metadata=metadata)
    options = models.BatchJobCreateOptions(
        id="lived", pool_info=models.BatchPoolInfo(pool_id=pool), metadata=metadata
    )
    batch.create_job(options)
    task = run(batch, "lived", sh("echo out"))
    failed = run(batch, "lived", "false")
    return {
        "pool": pool,
        "node": str(node_of(batch, pool).id),
        "job": "lived",
        "task": str(task.id),
        "failed": str(failed.id),
    }

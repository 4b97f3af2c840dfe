"""Texts that no file, command or URL can have: NULs and halves of characters, anywhere."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from azure.batch import BatchClient

from tests.support.emulator import builders as kit
from tests.support.emulator.emulators import Emulator
from tests.support.emulator.raw_http import VERSION, ask

URL = "http://127.0.0.1:9/x?sig=1"
HALF = "\ud800"
Json = dict[str, Any]
JOB: Json = {"id": "j", "poolInfo": {"poolId": "p"}}
POOL: Json = {
    "id": "p",
    "vmSize": "standard_d2s_v5",
    "virtualMachineConfiguration": {"imageReference": {}, "nodeAgentSKUId": "batch.node.x"},
}


def output(pattern: str = "*", path: str = "p", url: str = URL, header: str = "h") -> Json:
    """Return output files of a task."""
    headers = [{"name": header, "value": header}]
    container = {"containerUrl": url, "path": path, "uploadHeaders": headers}
    condition = {"uploadCondition": "taskcompletion"}
    destination = {"container": container}
    given = {"filePattern": pattern, "destination": destination, "uploadOptions": condition}
    return {"outputFiles": [given]}


def resource(**given: str) -> Json:
    """Return resource files of a task."""
    return {"resourceFiles": [{"httpUrl": URL, "filePath": "f"} | given]}


def container(**given: str) -> Json:
    """Return resource files of a task that are a container."""
    return {"resourceFiles": [{"storageContainerUrl": URL} | given]}


def fields(bad: str) -> dict[str, Json]:
    """Return bodies of a task that have a text in one place, by the name of the property."""
    return {
        "id": {"id": bad},
        "displayName": {"displayName": bad},
        "commandLine": {"commandLine": bad},
        "resourceFiles[0].filePath": resource(filePath=bad),
        "resourceFiles[0].httpUrl": resource(httpUrl=bad),
        "resourceFiles[0].fileMode": resource(fileMode=bad),
        "resourceFiles[0].storageContainerUrl": container(storageContainerUrl=bad),
        "resourceFiles[0].blobPrefix": container(blobPrefix=bad),
        "outputFiles[0].filePattern": output(pattern=bad),
        "outputFiles[0].destination.container.path": output(path=bad),
        "outputFiles[0].destination.container.containerUrl": output(url=bad),
        "outputFiles[0].destination.container.uploadHeaders[0].name": output(header=bad),
        "environmentSettings[0].name": {"environmentSettings": [{"name": bad, "value": "v"}]},
        "environmentSettings[0].value": {"environmentSettings": [{"name": "n", "value": bad}]},
        "affinityInfo.affinityId": {"affinityInfo": {"affinityId": bad}},
        "dependsOn.taskIds[0]": {"dependsOn": {"taskIds": [bad]}},
    }


def refusal(emulator: Emulator, path: str, body: Json) -> Json:
    """Send a body; return the details of the 400 that answers it."""
    answer = ask(emulator, "POST", f"{path}?{VERSION}", json.dumps(body).encode())
    assert (answer.status, answer.json["code"]) == (400, "InvalidPropertyValue")
    return {value["key"]: value["value"] for value in answer.json["values"]}


@pytest.mark.parametrize("bad", ["a\0b", f"a{HALF}b"], ids=["NUL", "half a character"])
@pytest.mark.parametrize("name", fields(""))
def test_texts_of_a_task(emulator: Emulator, batch: BatchClient, name: str, bad: str) -> None:
    """Each is a 400 that names its property."""
    job = kit.a_job(batch, "none", uses_task_dependencies=True)
    body = {"id": "t", "commandLine": "true"} | fields(bad)[name]

    assert refusal(emulator, f"/jobs/{job}/tasks", body)["PropertyName"] == name


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/jobs", JOB | {"id": "j\0"}),
        ("/jobs", JOB | {"poolInfo": {"poolId": "p\0"}}),
        ("/jobs", JOB | {"displayName": "\0"}),
        ("/jobs", JOB | {"metadata": [{"name": "\0", "value": "v"}]}),
        ("/pools", POOL | {"vmSize": "\0"}),
        ("/pools", POOL | {"startTask": {"commandLine": "x\0"}}),
        ("/pools", POOL | {"startTask": {"commandLine": "x"} | resource(filePath="\0")}),
    ],
)
def test_texts_of_jobs_and_pools(emulator: Emulator, path: str, body: Json) -> None:
    """They have the same rule."""
    assert "U+0000" in refusal(emulator, path, body)["Reason"]


def test_a_task_of_a_collection(emulator: Emulator, batch: BatchClient) -> None:
    """Its own result says what is wrong; the other tasks are added."""
    job = kit.a_job(batch, "none")
    bad, good = ({"id": name, "commandLine": "true"} for name in ("bad", "good"))
    body = {"value": [bad | resource(filePath="\0"), good]}

    answer = ask(
        emulator, "POST", f"/jobs/{job}/addtaskcollection?{VERSION}", json.dumps(body).encode()
    )

    assert answer.status == 200
    results = {result["taskId"]: result for result in answer.json["value"]}
    assert results["bad"]["error"]["code"] == "InvalidPropertyValue"
    assert "error" not in results["good"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/pools/%00"),
        ("GET", "/pools/a%00b"),
        ("DELETE", "/pools/a%00b"),
        ("GET", "/pools/p/nodes/%00"),
        ("GET", "/pools/p/nodes/n/files/%00"),
        ("GET", "/jobs/%00"),
        ("POST", "/jobs/a%00/terminate"),
        ("GET", "/jobs/j/tasks/%00"),
        ("GET", "/jobs/j/tasks/t/files/a%00b"),
        ("DELETE", "/jobs/j/tasks/t/files/wd/%00"),
        ("GET", "/jobs/j/tasks/t/files/%00/../x"),
        ("GET", "/%00"),
    ],
)
def test_a_nul_in_a_path(emulator: Emulator, method: str, path: str) -> None:
    """A URL with a NUL is a 400, whatever it asks for, with an error as every other."""
    answer = ask(emulator, method, f"{path}?{VERSION}")

    assert (answer.status, answer.json["code"]) == (400, "InvalidUri")


@pytest.mark.parametrize("name", ["$filter", "$select", "maxresults", "$skiptoken"])
def test_a_nul_in_a_query(emulator: Emulator, name: str) -> None:
    """So is one in a parameter of the query."""
    answer = ask(emulator, "GET", f"/jobs?{VERSION}&{name}={quote(chr(0))}")

    assert (answer.status, answer.json["code"]) == (400, "InvalidUri")


def test_a_percent_sign_before_zeros_is_no_nul(emulator: Emulator) -> None:
    """A name in which %00 stands as it is does not exist, and is valid."""
    assert ask(emulator, "GET", f"/pools/%2500?{VERSION}").status == 404


@pytest.mark.parametrize("asked", ["bytes={}-", "bytes=0-{}"])
def test_a_range_too_long_for_any_use(
    emulator: Emulator, batch: BatchClient, job: str, asked: str
) -> None:
    """Thousands of digits are a mistake of the client, not of the emulator."""
    task = kit.run(batch, job, "true")
    path = f"/jobs/{job}/tasks/{task.id}/files/stdout.txt"

    answer = ask(emulator, "GET", f"{path}?{VERSION}", ocp_range=asked.format("9" * 5000))

    assert answer.status == 416


def test_a_page_size_too_long_for_any_use(emulator: Emulator) -> None:
    """The same in a query."""
    answer = ask(emulator, "GET", f"/jobs?{VERSION}&maxresults={'9' * 5000}")

    assert (answer.status, answer.json["code"]) == (400, "OutOfRangeQueryParameterValue")


def test_an_integer_too_long_for_any_use(emulator: Emulator) -> None:
    """The same in a body, where an integer may be a text of digits."""
    body = {"id": "j", "poolInfo": {"poolId": "p"}, "priority": "9" * 5000}

    assert refusal(emulator, "/jobs", body)["PropertyName"] == "priority"

"""The Batch emulator's HTTP: who may ask, in which version, and how answers and errors look."""

import base64
import json
import timeit
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from azure.batch import BatchClient
from azure.core.credentials import AzureNamedKeyCredential

from local_azure.batch.server.routes import NOT_IMPLEMENTED, Operation
from tests.support.emulator import builders as kit
from tests.support.emulator.emulators import ACCOUNT, KEY, Emulator
from tests.support.emulator.raw_http import VERSION, ask, authorization


def test_a_wrong_key_is_refused(emulator: Emulator) -> None:
    """A signature of another key is 403."""
    wrong = base64.b64encode(b"wrong").decode()
    client = BatchClient(emulator.url, AzureNamedKeyCredential(ACCOUNT, wrong))
    with client, kit.refused(403, "AuthenticationFailed"):
        list(client.list_pools())


def test_a_wrong_account_is_refused(emulator: Emulator) -> None:
    """So is the right key with the name of another account."""
    client = BatchClient(emulator.url, AzureNamedKeyCredential("other", KEY))
    with client, kit.refused(403, "AuthenticationFailed"):
        list(client.list_pools())


@pytest.mark.parametrize("given", ["", "Bearer x", "SharedKey", f"SharedKey {ACCOUNT}"])
def test_a_malformed_authorization(emulator: Emulator, given: str) -> None:
    """Without a signature there is nothing to check: 401."""
    answer = ask(emulator, "GET", f"/pools?{VERSION}", authorization=given)

    assert (answer.status, answer.json["code"]) == (401, "InvalidAuthenticationInfo")


def test_an_independent_signature_is_taken(emulator: Emulator) -> None:
    """What a client computes by the documentation passes."""
    assert ask(emulator, "GET", f"/pools?{VERSION}").status == 200


def test_a_changed_request_is_refused(emulator: Emulator) -> None:
    """The signature covers the query."""
    date = format_datetime(datetime.now(UTC), usegmt=True)
    signature = authorization("GET", "/pools", VERSION, {"ocp-date": date})

    answer = ask(
        emulator,
        "GET",
        f"/pools?{VERSION}&maxresults=1",
        authorization=signature,
        ocp_date=date,
    )

    assert answer.status == 403


@pytest.mark.parametrize(
    "version",
    ["2022-01-01.15.0", "2022-10-01.16.0", "2024-02-01.19.0", "2024-07-01.20.0", "2026-08-01"],
)
def test_other_api_versions_are_taken(emulator: Emulator, version: str) -> None:
    """Older clients, and newer ones, are served."""
    assert ask(emulator, "GET", f"/pools?api-version={version}").status == 200


@pytest.mark.parametrize(
    ("query", "code"),
    [("", "MissingRequiredQueryParameter"), ("api-version=now", "InvalidQueryParameterValue")],
)
def test_a_request_without_a_version(emulator: Emulator, query: str, code: str) -> None:
    """A version there must be, and it must look like one."""
    answer = ask(emulator, "GET", f"/pools?{query}")

    assert (answer.status, answer.json["code"]) == (400, code)


def test_names_of_query_parameters_have_no_case(emulator: Emulator) -> None:
    """Clients spell them differently."""
    assert ask(emulator, "GET", "/pools?API-Version=2025-06-01").status == 200


def test_how_an_error_looks(emulator: Emulator) -> None:
    """Code, message with the request's id, and details."""
    answer = ask(emulator, "GET", f"/pools/none?{VERSION}")

    body = answer.json
    assert answer.headers["content-type"] == "application/json;odata=minimalmetadata"
    assert body["code"] == "PoolNotFound"
    assert body["message"]["lang"] == "en-US"
    assert f"RequestId:{answer.headers['request-id']}" in body["message"]["value"]
    assert body["values"] == [{"key": "Id", "value": "none"}]


def test_how_an_entity_looks(emulator: Emulator, batch: BatchClient) -> None:
    """Its ETag is in the header as in the body, without quotes."""
    pool_id = kit.a_pool(batch, target_dedicated_nodes=0)

    answer = ask(emulator, "GET", f"/pools/{pool_id}?{VERSION}")

    assert answer.headers["etag"] == answer.json["eTag"]
    assert answer.headers["etag"].startswith("0x8D")
    assert answer.json["odata.metadata"] == f"{emulator.url}/$metadata#pools/@Element"
    assert answer.headers["dataserviceversion"] == "3.0"


def test_how_a_creation_is_answered(emulator: Emulator, batch: BatchClient) -> None:
    """With 201, no body, and where the new entity is."""
    body = json.dumps({"id": "made", "poolInfo": {"poolId": "none"}}).encode()

    answer = ask(emulator, "POST", f"/jobs?{VERSION}", body)

    assert (answer.status, answer.body) == (201, b"")
    assert answer.headers["location"] == f"{emulator.url}/jobs/made"
    assert answer.headers["etag"] == batch.get_job("made").etag


def test_no_member_is_null(emulator: Emulator, batch: BatchClient) -> None:
    """What is absent is left out."""
    job_id = kit.a_job(batch, "none")
    kit.a_task(batch, job_id)

    for target in ("jobs", f"jobs/{job_id}/tasks"):
        assert b"null" not in ask(emulator, "GET", f"/{target}?{VERSION}").body


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "InvalidRequestBody"),
        (b"[]", "InvalidRequestBody"),
        (b'{"poolInfo": {"poolId": "p"}}', "MissingRequiredProperty"),
        (b'{"id": 1, "poolInfo": {"poolId": "p"}}', "InvalidPropertyValue"),
        (b'{"id": "j", "poolInfo": {"poolId": "p"}, "nonsense": 1}', "InvalidPropertyValue"),
    ],
)
def test_bodies_that_are_not_valid(emulator: Emulator, body: bytes, code: str) -> None:
    """The error names what is wrong with them."""
    answer = ask(emulator, "POST", f"/jobs?{VERSION}", body)

    assert (answer.status, answer.json["code"]) == (400, code)


def test_integers_may_be_strings_and_null_is_absent(emulator: Emulator, batch: BatchClient) -> None:
    """The az command line writes them so."""
    body = b'{"id": "az", "priority": "7", "metadata": null, "poolInfo": {"poolId": "p"}}'

    assert ask(emulator, "POST", f"/jobs?{VERSION}", body).status == 201

    assert batch.get_job("az").priority == 7


def test_the_folder_of_a_task_is_no_file(emulator: Emulator, batch: BatchClient, job: str) -> None:
    """A dot does not stand for the whole of it."""
    task = kit.run(batch, job, "true")
    target = f"/jobs/{job}/tasks/{task.id}/files/%2E?{VERSION}&recursive=true"

    assert ask(emulator, "DELETE", target).status == 404

    assert list(batch.list_task_files(job, str(task.id)))


@pytest.mark.parametrize("operation", NOT_IMPLEMENTED, ids=lambda operation: operation.name)
def test_what_is_missing_says_so(emulator: Emulator, operation: Operation) -> None:
    """Every operation without a handler is a 501 that names it."""
    path = operation.path.replace("{", "").replace("}", "")

    answer = ask(emulator, operation.method, f"{path}?{VERSION}")

    assert answer.status == 501
    if operation.method != "HEAD":
        assert answer.json["code"] == "NotImplementedByEmulator"
        assert operation.name in answer.json["message"]["value"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nonsense", 404, "ResourceNotFound"),
        ("GET", "/pools/x/nonsense", 404, "ResourceNotFound"),
        ("DELETE", "/pools", 405, "UnsupportedHttpVerb"),
        ("PUT", "/pools/x", 405, "UnsupportedHttpVerb"),
    ],
)
def test_what_is_no_operation(
    emulator: Emulator, method: str, path: str, status: int, code: str
) -> None:
    """Unknown paths and unknown methods are distinguished."""
    answer = ask(emulator, method, f"{path}?{VERSION}")

    assert (answer.status, answer.json["code"]) == (status, code)


def test_supported_images_can_be_chosen(batch: BatchClient) -> None:
    """Images that are verified and run Linux, as clients ask for them."""
    query = "verificationType eq 'verified' and osType eq 'linux'"

    images = list(batch.list_supported_images(filter=query))

    assert images
    assert {image.os_type for image in images} == {"linux"}


def test_answers_come_without_delay(batch: BatchClient) -> None:
    """No answer waits for the acknowledgement of its first segment (40 ms)."""
    job_id = kit.a_job(batch, "none")

    fastest = min(timeit.repeat(lambda: batch.get_job(job_id), number=1, repeat=50))

    assert fastest < 0.030

"""Shared-key signatures as the Batch emulator verifies them."""

import base64

import pytest

from local_azure.batch.server.auth import SignedRequest, sign, string_to_sign, verify
from local_azure.batch.wire.errors import BatchError

KEY = base64.b64encode(b"secret").decode()
DATE = "Sun, 22 Nov 2026 08:04:16 GMT"


def a_request(
    method: str = "GET",
    raw_path: str = "/pools",
    query: str = "api-version=2025-06-01",
    headers: dict[str, str] | None = None,
) -> SignedRequest:
    """Return a request with a date."""
    given = {"ocp-date": DATE} | (headers or {})
    return SignedRequest(method=method, raw_path=raw_path, query=query, headers=given)


def signed(request: SignedRequest, account: str = "acc", key: str = KEY) -> SignedRequest:
    """Return the request with its Authorization header."""
    signature = sign(key, string_to_sign(account, request))
    headers = dict(request.headers) | {"authorization": f"SharedKey {account}:{signature}"}
    return SignedRequest(
        method=request.method, raw_path=request.raw_path, query=request.query, headers=headers
    )


def refusal(request: SignedRequest) -> tuple[int, str]:
    """Return status and code of a refusal."""
    with pytest.raises(BatchError) as caught:
        verify("acc", KEY, request)
    return caught.value.status, caught.value.code


def test_the_string_to_sign_of_a_creation() -> None:
    """It is, byte for byte, what clients were seen to sign."""
    headers = {
        "content-length": "612",
        "content-type": "application/json; odata=minimalmetadata",
        "client-request-id": "not signed",
    }
    request = a_request("POST", headers=headers)

    assert string_to_sign("devbatch", request) == (
        "POST\n\n\n612\n\napplication/json; odata=minimalmetadata\n\n\n\n\n\n\n"
        "ocp-date:Sun, 22 Nov 2026 08:04:16 GMT\n/devbatch/pools\napi-version:2025-06-01"
    )


@pytest.mark.parametrize(
    ("method", "length", "line"),
    [("GET", "5", ""), ("HEAD", "5", ""), ("DELETE", "0", "0"), ("POST", "5", "5")],
)
def test_the_length_is_signed_as_received(method: str, length: str, line: str) -> None:
    """Except for reads, where it counts as empty."""
    text = string_to_sign("acc", a_request(method, headers={"content-length": length}))

    assert text.split("\n")[3] == line


def test_an_absent_length_is_empty() -> None:
    """Clients of JavaScript send none on DELETE."""
    assert string_to_sign("acc", a_request("DELETE")).split("\n")[3] == ""


def test_the_path_stays_encoded_and_the_query_does_not() -> None:
    """Names of files come as %2F, filters as text."""
    request = a_request(raw_path="/files/wd%2Fx", query="$filter=id%20eq%20'a'&api-version=1")

    assert string_to_sign("acc", request).endswith(
        "/acc/files/wd%2Fx\n$filter:id eq 'a'\napi-version:1"
    )


def test_the_first_of_equal_parameters_counts_and_empty_ones_do_not() -> None:
    """Parameters are sorted by name."""
    text = string_to_sign("acc", a_request(query="b=2&a=1&b=3&c="))

    assert text.endswith("/acc/pools\na:1\nb:2")


def test_headers_of_the_protocol_are_sorted() -> None:
    """Every ocp- header is signed."""
    text = string_to_sign("acc", a_request(headers={"ocp-range": "bytes=0-1"}))

    assert f"\nocp-date:{DATE}\nocp-range:bytes=0-1\n" in text


def test_a_genuine_signature_passes() -> None:
    """The account's own key makes it."""
    verify("acc", KEY, signed(a_request()))


def test_another_key_does_not() -> None:
    """Its signature is another one."""
    other = base64.b64encode(b"other").decode()

    assert refusal(signed(a_request(), key=other)) == (403, "AuthenticationFailed")


def test_another_account_does_not() -> None:
    """Even with the right key."""
    assert refusal(signed(a_request(), account="other")) == (403, "AuthenticationFailed")


@pytest.mark.parametrize("part", ["method", "raw_path", "query"])
def test_every_part_is_covered(part: str) -> None:
    """A request that was changed on its way is refused."""
    genuine = signed(a_request())
    parts = {name: getattr(genuine, name) for name in ("method", "raw_path", "query", "headers")}

    changed = SignedRequest(**parts | {part: parts[part] + "x"})

    assert refusal(changed) == (403, "AuthenticationFailed")


@pytest.mark.parametrize("header", ["", "Bearer x", "SharedKey", "SharedKey acc", "SharedKey acc:"])
def test_what_is_no_signature(header: str) -> None:
    """It is malformed, not wrong."""
    request = a_request(headers={"authorization": header})

    assert refusal(request) == (401, "InvalidAuthenticationInfo")

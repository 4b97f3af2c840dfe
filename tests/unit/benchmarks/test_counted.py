"""How the benchmark of the pipeline counts requests."""

import logging

import pytest

from benchmarks.counted import Requests, kind_of

ACCOUNT = "/devstoreaccount1"


@pytest.mark.parametrize(
    ("method", "url", "kind"),
    [
        ("GET", "/jobs/j/tasks?api-version=1&$select=id", "GET jobs/*/tasks"),
        ("GET", "/jobs/j/tasks/t/files/stderr.txt?api-version=1", "GET jobs/*/tasks/*/files/*"),
        ("POST", "/pools?api-version=1", "POST pools"),
        ("PUT", f"{ACCOUNT}/c?restype=container", "PUT container"),
        ("GET", f"{ACCOUNT}/c?restype=container&comp=list", "GET container list"),
        ("PUT", f"{ACCOUNT}/c/folder/blob", "PUT blob"),
        ("PUT", f"{ACCOUNT}/c/blob?comp=block&blockid=x", "PUT blob block"),
        ("GET", f"{ACCOUNT}/?comp=list", "GET service list"),
    ],
)
def test_kinds_are_without_names(method: str, url: str, kind: str) -> None:
    """Requests for different resources of a kind are one kind."""
    assert kind_of(method, url) == kind


def test_answers_are_counted_and_not_logged() -> None:
    """Each answer adds to its kind and its bytes; no line of the logger gets through."""
    requests = Requests()
    url = "/jobs/j?api-version=1"
    answer = ("http", "127.0.0.1", 80, "GET", url, "HTTP/1.1", 200, 7)
    lines = [(answer, "an answer"), (answer, "an answer"), (("http",), "a connection")]

    passed = [
        requests.filter(logging.LogRecord("", logging.DEBUG, "", 0, text, arguments, None))
        for arguments, text in lines
    ]

    assert passed == [False, False, False]
    assert requests.kinds["GET jobs/*"]["number"] == 2
    assert requests.kinds["GET jobs/*"]["bytes"] == 14

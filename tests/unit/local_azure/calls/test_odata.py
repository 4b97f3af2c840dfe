"""OData as the Batch emulator reads it: filters, projections, page sizes."""

from typing import Any

import pytest

from local_azure.batch.calls.odata import page_size, parse_filter, parse_select, value_at
from local_azure.batch.wire.errors import BatchError

ENTITY: dict[str, Any] = {
    "id": "Task-1",
    "state": "completed",
    "priority": 5,
    "flag": True,
    "creationTime": "2026-11-22T10:00:00.1234567Z",
    "executionInfo": {"exitCode": 3, "result": "failure", "text": "it's"},
}
FIELDS = frozenset({*ENTITY, "absent"})


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("id eq 'task-1'", True),
        ("id ne 'task-1'", False),
        ("state eq 'COMPLETED'", True),
        ("priority eq 5", True),
        ("priority gt 5", False),
        ("priority ge 5", True),
        ("priority lt 5.5", True),
        ("priority le -5", False),
        ("flag eq true", True),
        ("flag ne true", False),
        ("executionInfo/exitCode ne 0", True),
        ("executionInfo/result eq 'failure'", True),
        ("executionInfo/text eq 'it''s'", True),
        ("creationTime gt DateTime'2026-11-22T09:59:59Z'", True),
        ("creationTime lt datetime'2026-11-22T10:00:00Z'", False),
        ("startswith(id, 'TASK')", True),
        ("startswith(id,'ask')", False),
        ("startswith(absent, '')", True),
        ("not startswith(id, 'task')", False),
        ("not (priority eq 5) or flag eq true", True),
        ("priority eq 1 or priority eq 5", True),
        ("priority eq 5 and state eq 'active'", False),
        ("priority eq 5 or priority eq 5 and state eq 'active'", True),
        ("(priority eq 5 or priority eq 5) and state eq 'active'", False),
        ("absent eq null", True),
        ("absent ne null", False),
        ("id eq null", False),
        ("absent eq 'x'", False),
        ("absent ne 'x'", True),
        ("absent lt 5", False),
        ("priority eq '5'", False),
        ("id eq DateTime'2026-11-22T10:00:00Z'", False),
        ("id/below eq 'x'", False),
        ("", True),
        ("  priority   eq   5  ", True),
    ],
)
def test_filters(text: str, *, holds: bool) -> None:
    """A filter holds, or does not, for the entity above."""
    assert parse_filter(text, FIELDS)(ENTITY) is holds


@pytest.mark.parametrize(
    "text",
    [
        "nonsense eq 1",
        "Priority eq 5",
        "priority",
        "priority eq",
        "priority is 5",
        "priority eq 5 priority eq 5",
        "priority eq 5 and",
        "(priority eq 5",
        "priority eq 5)",
        "priority eq 5x",
        "priority eq five",
        "id eq 'never closed",
        "creationTime gt DateTime'yesterday'",
        "creationTime gt DateTime'2026-13-01T00:00:00Z'",
        "startswith(id)",
        "startswith(nonsense, 'x')",
        "substringof(id, 'x')",
        "(" * 5000,
    ],
)
def test_filters_that_are_not_valid(text: str) -> None:
    """Each is a 400 that shows the filter."""
    with pytest.raises(BatchError) as caught:
        parse_filter(text, FIELDS)
    assert (caught.value.status, caught.value.code) == (400, "InvalidQueryParameterValue")
    assert ("QueryParameterValue", text) in caught.value.values


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (None, set(ENTITY)),
        ("", set(ENTITY)),
        ("id", {"id"}),
        ("id,state", {"id", "state"}),
        (" id , state ", {"id", "state"}),
        ("executionInfo/exitCode", {"executionInfo"}),
        ("absent", set()),
    ],
)
def test_selects(text: str | None, names: set[str]) -> None:
    """A projection leaves the members that it names, without it all stay."""
    assert set(parse_select(text, FIELDS)(ENTITY)) == names


def test_a_select_of_what_does_not_exist() -> None:
    """It is a 400."""
    with pytest.raises(BatchError) as caught:
        parse_select("id,nonsense", FIELDS)
    assert caught.value.code == "InvalidQueryParameterValue"


@pytest.mark.parametrize(("text", "size"), [(None, 1000), ("", 1000), ("1", 1), ("1000", 1000)])
def test_page_sizes(text: str | None, size: int) -> None:
    """A page has a thousand entities unless another is asked for."""
    assert page_size(text) == size


@pytest.mark.parametrize("text", ["0", "1001", "-1", "1.5", "ten", "²"])
def test_page_sizes_out_of_range(text: str) -> None:
    """Others are a 400."""
    with pytest.raises(BatchError) as caught:
        page_size(text)
    assert caught.value.code == "OutOfRangeQueryParameterValue"


def test_values_at_paths() -> None:
    """A path leads into members; where there is none it gives nothing."""
    assert value_at(ENTITY, "executionInfo/exitCode") == 3
    assert value_at(ENTITY, "absent/exitCode") is None
    assert value_at(ENTITY, "id/exitCode") is None

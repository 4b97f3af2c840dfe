"""A janitor, and the hook of a run that died, whose calls are answered badly."""

from dataclasses import replace

import pytest

from prefect_azure_batch.errors import ServiceError
from prefect_azure_batch.janitor import janitor
from prefect_azure_batch.ownership.liveness import LifeState
from prefect_azure_batch.service.clients import open_services
from tests.support.pipeline.bad_answers import ALWAYS, KINDS, Fault, Spoil, kinds_of
from tests.support.pipeline.estates import Left, MakeLeft, estate_of, row_of

pytestmark = pytest.mark.usefixtures("prefect_harness", "nothing_left")

# More than the SDKs send again by themselves.
NUM_CUT = 4


@pytest.mark.parametrize(
    "names",
    [
        ("read the heartbeat", "delete the job"),
        *(
            pytest.param((kind.name,), marks=pytest.mark.answers)
            for kind in kinds_of(
                *("look at a container", "write the heartbeat", "delete a container"),
                *("list jobs", "list pools", "delete the pool", "get the job", "get the pool"),
            )
        ),
    ],
    ids=", ".join,
)
def test_janitor_outlives_answers_that_break_off(
    spoil: Spoil, dead: Left, names: tuple[str, ...]
) -> None:
    """A dead run is deleted whole though the answers to some calls break off for a while."""
    # The first answer from each account must be good.
    num = 2 if "list pools" in names else NUM_CUT
    rule = spoil(Fault.CUT, kinds_of(*names), num)

    row = row_of(janitor(), dead)

    assert set(rule.spoiled) == set(names)
    assert str(row["done"]).startswith("deleted ")
    assert dead.names() == []


def test_endpoint_that_never_answers_whole_is_an_error_of_the_janitor(spoil: Spoil) -> None:
    """A janitor that has no good answer yet does not wait for one."""
    spoil(Fault.CUT, kinds_of("list pools"), ALWAYS)

    with pytest.raises(ServiceError, match=r"look at the accounts: .*gave no answer"):
        janitor()


def test_age_without_a_date(spoil: Spoil, dead: Left, make_left: MakeLeft) -> None:
    """Where no answer says what time it is, a run counts as no older than it surely is."""
    live = make_left()
    spoil(Fault.NO_DATE, KINDS, ALWAYS)
    with open_services(None, None) as services:
        seen = [estate_of(replace(left, services=services)) for left in (dead, live)]

    # The clock of the service can be five minutes behind; the limit is two seconds.
    assert [found.liveness.state for found in seen] == [LifeState.ALIVE] * 2

"""Runs whose calls are answered badly, each kind of call in each way, on real services."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.top_words import top_words
from flows.word_count.settings import CountSettings
from local_azure.stack import LocalAzure
from prefect_azure_batch.errors import ServiceError
from tests.support.pipeline.bad_answers import ALWAYS, KINDS, Fault, Kind, Spoil, kinds_of

pytestmark = pytest.mark.usefixtures("prefect_harness", "nothing_left")

QUICK = CountSettings(poll_interval_s=0.3)
# The watch gets to all of its calls before the batch task ends.
SLOW = QUICK.model_copy(update={"delay_s": 8.0})
# More than the SDKs send again by themselves: three tries.
NUM_CUT = 4
# Before a run has begun, only the SDKs do.
NUM_CUT_AT_FIRST = 2
# Prefect repeats a step after one second, and after two more.
NUM_REFUSED = 2
TITLE = "a run is answered badly: kind of call | answer | how many | seconds of the run"


@pytest.fixture(autouse=True)
def _input(accounts: LocalAzure, tmp_path: Path) -> None:  # noqa: ARG001 - the working directory
    (tmp_path / "a.txt").write_text("word")


def num_of(kind: Kind, fault: Fault) -> int:
    """Return how many answers in succession a call of a kind must survive."""
    if fault is Fault.NO_DATE:
        return ALWAYS
    if fault in {Fault.CUT, Fault.CUT_SILENTLY}:
        return NUM_CUT_AT_FIRST if kind.is_first else NUM_CUT
    return NUM_REFUSED


# Of each kind of fault one row: where it has its own way through the run.
FEW = {
    Fault.CUT: kinds_of(
        *("write the heartbeat", "download an output", "get the job", "delete the pool")
    ),
    Fault.CUT_SILENTLY: kinds_of("get the job", "list blobs"),
    Fault.NO_DATE: KINDS,
    Fault.BARE_503: kinds_of("count batch tasks", "create a container"),
    Fault.BUSY_429: kinds_of("count batch tasks", "create a container"),
}


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.value)
def test_calls_are_answered_badly(spoil: Spoil, fault: Fault) -> None:
    """A run ends well though answers to several kinds of calls are spoiled."""
    rule = spoil(fault, FEW[fault], ALWAYS if fault is Fault.NO_DATE else 1)

    assert top_words(["a.txt"], job=QUICK).words == {"a.txt": [("word", 1)]}

    assert set(rule.spoiled) == {kind.name for kind in FEW[fault]}


@pytest.mark.answers
@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.value)
def test_each_call_of_a_run_is_answered_badly_once(spoil: Spoil, fault: Fault) -> None:
    """A run ends well though the first answer to each kind of call is spoiled."""
    rule = spoil(fault, KINDS, ALWAYS if fault is Fault.NO_DATE else 1)

    assert top_words(["a.txt"], job=SLOW).words == {"a.txt": [("word", 1)]}

    assert set(rule.spoiled) == {kind.name for kind in KINDS}


@pytest.mark.answers
@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.value)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_call_is_answered_badly_several_times(
    spoil: Spoil,
    kind: Kind,
    fault: Fault,
    record_property: Callable[[str, object], None],
) -> None:
    """A run ends well though several answers to a kind of call are spoiled one after another."""
    rule, began = spoil(fault, (kind,), num_of(kind, fault)), time.monotonic()

    assert top_words(["a.txt"], job=QUICK).words == {"a.txt": [("word", 1)]}

    took_s = time.monotonic() - began
    row = f"{kind.name:20} | {fault.value:20} | {rule.spoiled[kind.name]:5} | {took_s:5.1f}"
    record_property(TITLE, row)
    assert rule.spoiled[kind.name] >= 1


@pytest.mark.parametrize(
    "name", ["list images", pytest.param("list containers", marks=pytest.mark.answers)]
)
def test_cut_answers_before_a_run_are_an_error(spoil: Spoil, name: str) -> None:
    """Before anything is created, nobody waits for a service that never gives a whole answer."""
    rule = spoil(Fault.CUT, kinds_of(name), ALWAYS)

    with pytest.raises(ServiceError, match="gave no answer"):
        top_words(["a.txt"], job=QUICK)

    assert rule.spoiled[name] == 1 + 2

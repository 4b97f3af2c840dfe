"""The samples that autoscale formulas look back on."""

from datetime import UTC, datetime, timedelta

import pytest

from local_azure.batch.state.samples import History, Samples

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def sampled(*ages_s: float) -> Samples:
    """Return samples that were taken so many seconds ago; the oldest is 1, the next 2."""
    samples = Samples()
    for number, age in enumerate(ages_s, start=1):
        samples.add(NOW - timedelta(seconds=age), {"m": float(number)})
    return samples


def test_the_newest_come_first() -> None:
    """And there are no more than there are."""
    assert sampled(60, 30, 0).newest("m", 2) == [3, 2]
    assert sampled(30).newest("m", 5) == [1]


def test_a_span_has_both_its_ends() -> None:
    """Samples at its first and its last instant belong to it."""
    samples = sampled(90, 60, 30, 0)

    found = samples.between("m", NOW - timedelta(seconds=60), NOW - timedelta(seconds=30))

    assert found == [3, 2]


@pytest.mark.parametrize(
    ("ages", "percent"),
    [((), 0), ((0,), 50), ((30, 0), 100), ((35, 31, 30), 50), ((40, 10, 5, 0), 100)],
)
def test_the_share_of_a_span_that_was_sampled(ages: tuple[float, ...], percent: float) -> None:
    """Of a minute two samples are expected; several of one half minute count once."""
    assert sampled(*ages).percent("m", NOW - timedelta(seconds=60), NOW) == percent


def test_old_samples_are_forgotten() -> None:
    """A day is kept, however long the pool lives."""
    samples = sampled(*range(90_000, 0, -30))

    assert len(samples.newest("m", 10_000)) == 2880


def test_pools_have_samples_of_their_own() -> None:
    """And lose them when they are gone."""
    history = History()
    history.of(("a",)).add(NOW, {"m": 1.0})

    assert history.of(("b",)).newest("m", 1) == []
    history.forget(("a",))
    assert history.of(("a",)).newest("m", 1) == []

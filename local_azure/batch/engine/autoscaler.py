"""Samples the metrics of autoscaled pools, and evaluates their formulas when it is time."""

from typing import TYPE_CHECKING

from local_azure.batch.autoscale import evaluation
from local_azure.batch.engine.context import EngineContext
from local_azure.batch.state.records import Key, Pool, Record
from local_azure.batch.state.samples import PERIOD_S
from local_azure.batch.state.states import AllocationState, PoolState
from local_azure.batch.wire.formats import parse_duration, parse_time

if TYPE_CHECKING:
    from local_azure.batch.controls.clock import Timer


class Autoscaler:
    """Follows the pools' formulas; the pool's record has the time of the last evaluation."""

    def __init__(self, context: EngineContext) -> None:
        self._service = context.service
        self._store = context.store
        self._clock = context.clock
        self._sampling: dict[Key, Timer] = {}
        self._evaluations: dict[Key, Timer] = {}

    def pool_changed(self, old: Record | None, pool: Pool | None) -> None:
        """Act on a pool that is new, has changed or is gone (None); `old` is what it was."""
        if pool is not None and pool.body["enableAutoScale"]:
            if pool.key not in self._sampling:
                self._sample(pool.key)
            self._plan(pool)
        elif old is not None:
            self._forget(old.key)

    def _forget(self, key: Key) -> None:
        for timers in (self._sampling, self._evaluations):
            if key in timers:
                timers.pop(key).cancel()
        self._service.history.forget(key)

    def _sample(self, key: Key) -> None:
        evaluation.take_sample(self._service, self._store.pools.get(*key))
        self._sampling[key] = self._clock.call_later(PERIOD_S, lambda: self._sample(key))

    def _plan(self, pool: Pool) -> None:
        """Have the formula evaluated when its interval is over and the pool is steady."""
        if pool.key in self._evaluations:
            self._evaluations.pop(pool.key).cancel()
        run = pool.auto_scale_run
        steady = pool.state is PoolState.ACTIVE and pool.allocation is AllocationState.STEADY
        if run is None or not steady:
            return
        age = (self._clock.now() - parse_time(run["timestamp"])).total_seconds()
        interval = parse_duration(pool.body["autoScaleEvaluationInterval"]).total_seconds()
        timer = self._clock.call_later(interval - age, lambda: self._evaluate(pool.key))
        self._evaluations[pool.key] = timer

    def _evaluate(self, key: Key) -> None:
        pool = self._store.pools.get(*key)
        self._store.pools.put(evaluation.follow(self._service, pool))

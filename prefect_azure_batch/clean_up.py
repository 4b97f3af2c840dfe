"""The end of every run, whatever happened: a subflow, in the flow's `finally`.

What could not get to it has the hooks of `clean_up_hooks.py`. Whoever cleans up has the run's
heartbeat: of a run that another process has taken over, nothing is deleted.
"""

from asyncio import CancelledError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from prefect import flow, runtime
from prefect.logging import get_run_logger

from prefect_azure_batch.errors import (
    HeartbeatDamaged,
    HeartbeatLost,
    PipelineError,
    RunIsAlive,
    RunIsOver,
    RunTakenOver,
    ServiceError,
)
from prefect_azure_batch.model.run import EVERY_ATTEMPT, Run
from prefect_azure_batch.ownership.deletion import (
    HURRIED_TIMEOUT_S,
    KindsToDelete,
    delete_leftovers,
    find_leftovers,
    start_deletions,
)
from prefect_azure_batch.ownership.heartbeat import Heartbeat
from prefect_azure_batch.ownership.question import ask
from prefect_azure_batch.ownership.unfinished import unfinished
from prefect_azure_batch.running.events import Announcer
from prefect_azure_batch.running.pool import take_nodes_away
from prefect_azure_batch.service.clients import open_services
from prefect_azure_batch.service.context import RunContext
from prefect_azure_batch.service.movement import movement_of_run
from prefect_azure_batch.service.outages import Backoff, outlive
from prefect_azure_batch.service.refusals import service_errors
from prefect_azure_batch.service.signals import RunSignals, current_signals, say
from prefect_azure_batch.service.step import step
from prefect_azure_batch.settings import CleanUpPolicy, Outcome

# A call that was in flight, or got no answer, may still create something.
SETTLE_S = 1.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0

# Why nothing is kept after all, if the services end with the command that has started them.
services_end: ContextVar[str] = ContextVar("services_end", default="")

BlockNames = tuple[str | None, str | None]
"""Saved blocks of Batch and storage; without one the environment is used."""


def kinds_to_delete(policy: CleanUpPolicy, outcome: Outcome) -> KindsToDelete:
    """Return which kinds of resources are deleted after such an outcome, if nobody was asked."""
    policy = policy.answered({})
    return KindsToDelete(
        containers=policy.deletes(policy.containers, outcome),
        job=policy.deletes(policy.job, outcome),
        pool=policy.deletes(policy.pool, outcome),
    )


def delete(context: RunContext, policy: CleanUpPolicy, outcome: Outcome) -> list[str]:
    """Delete what the policy says, and wait until it is gone.

    Returns:
        What was deleted, in words.

    Raises:
        CleanUpIncomplete: something is left that should not be.
    """
    kinds = kinds_to_delete(policy, outcome)
    settle_s = 0 if outcome is Outcome.SUCCEEDED else SETTLE_S
    if signals := current_signals():
        signals.begin_deletions()
    if outcome is not Outcome.CANCELLED:
        return delete_leftovers(context, kinds, policy.timeout_s, settle_s)
    started = start_deletions(context, kinds)
    timeout_s = min(policy.timeout_s, HURRIED_TIMEOUT_S)
    deleted = delete_leftovers(context, kinds, timeout_s, settle_s)
    return list(dict.fromkeys([*started, *deleted]))


@step("delete job, pool and containers")
def delete_resources(context: RunContext, policy: CleanUpPolicy, outcome: Outcome) -> list[str]:
    """Delete what the policy says, and wait until it is gone.

    Returns:
        What was kept, in words.

    Raises:
        CleanUpIncomplete: something is left that should not be.
    """
    deleted = delete(context, policy, outcome)
    if f"pool {context.run.pool_id}" in deleted:
        Announcer(context.run).pool("deleted")
    is_hurried = outcome is Outcome.CANCELLED
    kept = _look_once(context) if is_hurried else find_leftovers(context)
    get_run_logger().info("deleted %s; kept %s", _listed(deleted), _listed(kept))
    return kept


def _look_once(context: RunContext) -> list[str]:
    """Look what is left of a run that has no time to wait for an answer."""
    try:
        with service_errors("look what is kept"):
            return find_leftovers(context)
    except ServiceError as error:
        return [f"what could not be looked for: {error}"]


def _continue() -> None:
    """Let a clean-up continue: an outage is waited out, as in the run."""


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "nothing"


@flow(name="clean-up")
def clean_up(
    run: Run,
    outcome: Outcome,
    policy: CleanUpPolicy,
    batch_credentials: str | None,
    storage_credentials: str | None,
) -> None:
    """Delete the resources of a run by its policy; safe to repeat.

    Args:
        run: whose resources.
        outcome: how the run ended; after a cancellation only `never` keeps anything.
        policy: what is deleted when.
        batch_credentials: name of a saved block; without one the environment is used.
        storage_credentials: name of a saved block; without one the environment is used.

    Raises:
        CleanUpIncomplete: something is left that should not be.
    """
    with open_services(batch_credentials, storage_credentials) as services:
        context = RunContext.of(replace(services, guard=_continue), run)
        delete_resources(context, policy, outcome)


@dataclass(frozen=True)
class Decision:
    """What becomes of a run's resources.

    Attributes:
        run: whose, up to which attempt.
        outcome: how the run ended, as far as its resources are concerned.
        policy: what is deleted when.
        has_heartbeat: whether there is one to write it into.
    """

    run: Run
    outcome: Outcome
    policy: CleanUpPolicy
    has_heartbeat: bool = True

    @property
    def kept(self) -> list[str]:
        """The kinds of resources that are not deleted."""
        kinds = asdict(kinds_to_delete(self.policy, self.outcome))
        return [kind for kind, is_deleted in kinds.items() if not is_deleted]


@dataclass(frozen=True)
class CleanUp:
    """The end of one run: it is decided, marked in the heartbeat for all to see, and done.

    Attributes:
        context: clients that are open already, for a clean-up without Prefect's server; the run.
        heartbeat: says which attempts there are, and whether the run is still this process's.
        policy: what is deleted when.
        block_names: where the subflow gets its clients; None: there is no subflow.
    """

    context: RunContext
    heartbeat: Heartbeat
    policy: CleanUpPolicy
    block_names: BlockNames | None

    def finish(self, outcome: Outcome, note: Callable[[str], object]) -> list[str]:
        """Decide, mark and delete, and stop the heartbeat.

        Args:
            outcome: how the run ended.
            note: takes what is kept, until when, and how to resume it; before anything is deleted.

        Returns:
            What was deleted here, in words; not what a subflow has deleted.

        Raises:
            RunTakenOver: another process has the run.
            CleanUpIncomplete: something is left that should not be.
        """
        run = self.context.run
        unfinished[run.name] = self.what_may_be_left(self.policy, outcome)
        try:
            decision = self.decide(outcome)
            unfinished[run.name] = self.what_may_be_left(decision.policy, decision.outcome)
            note(self.mark(decision))
            deleted = self.delete(decision)
        except Exception:
            # It says itself what is left.
            del unfinished[run.name]
            raise
        except BaseException as error:
            error.add_note(unfinished[run.name])
            raise
        finally:
            self.heartbeat.finish()
        del unfinished[run.name]
        return deleted

    def what_may_be_left(self, policy: CleanUpPolicy, outcome: Outcome) -> str:
        """Say what is left if the clean-up is ended now, and the command that removes it."""
        run = self.context.run.in_attempt(self.heartbeat.attempt)
        kinds = kinds_to_delete(policy, outcome)
        names = {
            f"pool {run.pool_id}": kinds.pool and not run.existing_pool_id,
            f"job {run.job_id}": kinds.job,
            f"containers {run.name}-*": kinds.containers,
        }
        left = ", ".join(name for name, is_deleted in names.items() if is_deleted)
        return (
            f"the clean-up was stopped, and this may be left: {left or 'nothing'}; "
            f"batch-map janitor --run {run.name} deletes it as soon as the heartbeat is "
            f"{run.heartbeat_limit_s:g} s old"
        )

    def rescue(self) -> None:
        """Start the deletions from another thread, of a cancelled run that cannot do it itself."""
        run = self.context.run
        kinds = kinds_to_delete(self.policy, Outcome.CANCELLED)
        context = replace(self.context, run=run.in_attempt(self.heartbeat.attempt), guard=None)
        started = start_deletions(context, kinds)
        say(f"run {run.name}: the deletion of {_listed(started)} was started")

    def decide(self, outcome: Outcome) -> Decision:
        """Say what becomes of the run's resources, as the process that has the run.

        Raises:
            RunTakenOver: another process has it.
        """
        run, heartbeat, policy = self.context.run, self.heartbeat, self.policy
        if not heartbeat.is_held and not outlive(
            heartbeat.take_from_ended_process, Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S), _continue
        ):
            # It has created nothing that is worth keeping.
            every = run.in_attempt(EVERY_ATTEMPT)
            return Decision(every, Outcome.CANCELLED, policy, has_heartbeat=False)
        beat = heartbeat.beat
        if outcome is Outcome.FAILED and beat.outcome:
            # Its clean-up was ended, by its death or a second Ctrl-C: what that had decided holds.
            outcome, kept = beat.outcome, beat.kept or ()
            policy = policy.answered({kind: kind not in kept for kind in policy.questions})
        return Decision(run.in_attempt(heartbeat.attempt), outcome, policy)

    def mark(self, decision: Decision) -> str:
        """Write into the heartbeat what is kept and until when, and return it in words."""
        if not decision.has_heartbeat:
            return "it had no heartbeat"
        run, kept = decision.run, decision.kept
        keep = timedelta(seconds=decision.policy.keep_s)
        until = min(datetime.now(UTC) + keep, run.delete_after)
        is_hurried = decision.outcome is Outcome.CANCELLED
        try:
            self.heartbeat.mark_ended(
                until if kept else None, kept, decision.outcome, is_hurried=is_hurried
            )
        except (HeartbeatDamaged, HeartbeatLost, ServiceError) as error:
            # If somebody else had the run, that would be another error.
            return f"at the end of the run its heartbeat could not be written: {error}"
        if not kept:
            return f"nothing of run {run.name} is kept"
        if services_end.get():
            return f"nothing of run {run.name} is kept: {services_end.get()}"
        return (
            f"run {run.name} is kept until {until:%Y-%m-%d %H:%M} UTC; to continue it, retry the "
            f"flow run in Prefect, or run the same again with resume={run.name} "
            f"(--resume {run.name})"
        )

    def delete(self, decision: Decision) -> list[str]:
        """Delete what the decision says: in a subflow if there is one, else here.

        Returns:
            What was deleted here, in words.

        Raises:
            CleanUpIncomplete: something is left that should not be.
        """
        run, outcome, policy = decision.run, decision.outcome, decision.policy
        here = replace(self.context, run=run)
        if self.block_names is None:
            return delete(here, policy, outcome)
        try:
            # Not a template: inputs with braces are in the name.
            name = f"clean up after {runtime.flow_run.name}"
            named = clean_up.with_options(flow_run_name=lambda: name)
            named(run, outcome, policy, *self.block_names)
        except PipelineError:
            raise
        except Exception:
            # A subflow needs Prefect's server; nodes cost money without it too.
            delete(here, policy, outcome)
            raise
        return []


@contextmanager
def cleaned_up(
    context: RunContext, heartbeat: Heartbeat, policy: CleanUpPolicy, block_names: BlockNames
) -> Iterator[None]:
    """Run the clean-up after the block, however it is left; what it raised stays the error.

    After a success a person is asked first, if the policy says so.

    Args:
        context: the run, and clients that are open already.
        heartbeat: the run's.
        policy: what is deleted when.
        block_names: saved blocks of Batch and storage.

    Raises:
        CleanUpIncomplete: the block did its work, and something is left that should not be.
        RunTakenOver: the block did its work, and another process has the run.
    """
    end = CleanUp(context, heartbeat, policy, block_names)
    movement = movement_of_run.set(context.movement)
    with RunSignals(end.rescue, context.movement) as signals:
        try:
            # Twice: a signal can still be raised in the line before the first one.
            try:
                yield
                last = context.in_attempt(heartbeat.attempt)
                policy = ask(last.run, heartbeat, policy, partial(take_nodes_away, last))
            finally:
                signals.begin_clean_up()
        except (RunIsAlive, RunIsOver, RunTakenOver):
            heartbeat.stop()
            raise
        except BaseException as error:
            signals.begin_clean_up()
            try:
                end.finish(_outcome_of(error, signals), partial(_note, error))
            except Exception as left:  # noqa: BLE001 - reported with the first error, which is raised
                error.add_note(f"clean-up: {left}")
            raise
        else:
            replace(end, policy=policy).finish(Outcome.SUCCEEDED, get_run_logger().info)
        finally:
            movement_of_run.reset(movement)


def _outcome_of(error: BaseException, signals: RunSignals) -> Outcome:
    """Return how a run has ended: by a signal, whatever that became on its way."""
    # Prefect ends a flow whose time is over by the latter.
    is_failure = isinstance(error, (Exception, CancelledError))
    return Outcome.FAILED if is_failure and not signals.first else Outcome.CANCELLED


def _note(error: BaseException, message: str) -> None:
    """Say something with an error, and in the log."""
    error.add_note(message)
    get_run_logger().info(message)

"""The heartbeat: a small blob by which everybody sees whether a run lives, and who may touch it.

It lies in the run's application container and is written at a tenth of the run's limit by a
thread of the live run. Every write is conditional on the one before, so of two processes that
want the same run one wins, and the other finds out.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from secrets import token_hex
from threading import Event, RLock, Thread
from typing import Any
from uuid import UUID

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient

from prefect_azure_batch.errors import (
    HeartbeatLost,
    RunIsAlive,
    RunIsOver,
    RunLost,
    RunTakenOver,
    ServiceError,
)
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.ownership.heartbeat_blob import (
    Beat,
    RunState,
    Sighting,
    is_refused,
    known_etag,
    look_at_heartbeat,
    send_beat,
)
from prefect_azure_batch.ownership.liveness import Evidence, LifeState, Marks, judge
from prefect_azure_batch.service.movement import Movement, awake_s
from prefect_azure_batch.service.refusals import service_errors
from prefect_azure_batch.settings import Outcome

BEATS_PER_LIMIT = 10
ONE_TRY: dict[str, Any] = {"retry_total": 0}


class Heartbeat:
    """The heartbeat of one process that works on a run, or wants to.

    Args:
        blobs: the storage account.
        run: whose heartbeat; its limit also sets how often it is written.
        holder: the flow run that this process works for.
        warn: called once for each outage of the thread's writes.
        state: what this process does with the run: it works on it, or deletes it.
        movement: of the run, without which no heartbeat is written; None: it always moves.

    Attributes:
        trouble: why the thread's last write failed; empty if it did not.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - all but three are as by default
        self,
        blobs: BlobServiceClient,
        run: Run,
        holder: UUID,
        warn: Callable[[str], object] | None = None,
        state: RunState = RunState.RUNNING,
        movement: Movement | None = None,
    ) -> None:
        self._blobs = blobs
        self._movement = movement
        self._run = run
        self._beat = Beat(holder=holder.hex, process=token_hex(8), state=state)
        self._warn = warn or (lambda _: None)
        self._limit_s = run.heartbeat_limit_s
        self._etag = ""
        self._written = 0.0
        self.trouble = ""
        self._lost: RunLost | None = None
        self._lock = RLock()
        self._stopping = Event()
        self._thread = Thread(target=self._keep_writing, name="heartbeat", daemon=True)

    @property
    def is_held(self) -> bool:
        """Whether this process has ever taken the run."""
        return bool(self._etag)

    @property
    def beat(self) -> Beat:
        """What this process wrote last."""
        return self._beat

    @property
    def attempt(self) -> int:
        """The last attempt that was opened by anybody, 0 before the first."""
        return self._beat.attempt

    def take(self, limit_s: float, age_s: float) -> None:
        """Make the run this process's own, and write on from a thread until it is stopped.

        It can be taken at once from a process of the same flow run, which Prefect has ended, and if
        it is kept. From another process it can be taken when that is dead. Safe to repeat.

        Args:
            limit_s: the limit in seconds that whoever has it keeps to.
            age_s: how old the run is, which counts while it has no heartbeat.

        Raises:
            RunIsOver: it has succeeded, and is being deleted.
            RunIsAlive: somebody else works on the run.
            RunTakenOver: somebody else was faster just now.
        """
        with self._lock:
            if self.is_held:
                self.check()
                return
            seen = look_at_heartbeat(self._blobs, self._run)
            if seen and seen.beat.is_over:
                raise RunIsOver(self._run.name)
            holder = seen.beat.holder if seen else self._run.flow_run_id
            marks = Marks(limit_s, self._run.delete_after, ())
            now = seen.seen if seen else datetime.now(UTC)
            liveness = judge(Evidence(marks, seen, age_s, now))
            if liveness.state is LifeState.ALIVE and holder != self._beat.holder:
                raise RunIsAlive(self._run.name, holder, seen.age_s if seen else age_s, limit_s)
            self.take_unless_changed(seen)

    def take_unless_changed(self, seen: Sighting | None) -> None:
        """Make the run this process's own on the condition that nobody has touched it since.

        Args:
            seen: its heartbeat, as it was found worth taking; None: there was none.

        Raises:
            RunTakenOver: somebody else has written it since.
            HeartbeatLost: it is gone, or its container is.
        """
        with self._lock:
            self._write_as_successor(seen)
            self._thread.start()

    def take_from_ended_process(self) -> bool:
        """Take over, without a thread, from a process of the same flow run that has ended.

        Returns:
            Whether there was a heartbeat.

        Raises:
            RunTakenOver: the run is somebody else's.
        """
        with service_errors("read the heartbeat"):
            seen = look_at_heartbeat(self._blobs, self._run)
        holder = seen.beat.holder if seen else self._run.flow_run_id
        if holder != self._beat.holder:
            raise RunTakenOver(self._run.name, holder)
        if seen:
            self._write_as_successor(seen)
        return self.is_held

    def _write_as_successor(self, seen: Sighting | None) -> None:
        update: dict[str, Any] = {"attempt": seen.beat.attempt if seen else 0}
        if seen and self._beat.state is RunState.DELETING:
            # If this process dies, what is kept is still known.
            known = {"until", "kept", "outcome"}
            update |= {name: getattr(seen.beat, name) for name in known}
        self._write(self._beat.model_copy(update=update), seen.etag if seen else None)

    def open_attempt(self, attempt: int) -> None:
        """Write down that an attempt begins; its pool and job may be created after that.

        Raises:
            RunLost: the run is no longer this process's.
        """
        with self._lock:
            self.check()
            self._rewrite(self._beat.model_copy(update={"attempt": attempt}))

    def mark_waiting(self, until: datetime) -> None:
        """Write down that the run waits for an answer, and until when, UTC.

        Raises:
            RunLost: the run is no longer this process's.
        """
        self._change(RunState.WAITING, until.astimezone(UTC))

    def mark_running(self) -> None:
        """Write down that the run waits no longer.

        Raises:
            RunLost: the run is no longer this process's.
        """
        self._change(RunState.RUNNING, None)

    def _change(self, state: RunState, until: datetime | None) -> None:
        with self._lock:
            self.check()
            self._rewrite(self._beat.model_copy(update={"state": state, "until": until}))

    def mark_ended(
        self,
        until: datetime | None,
        kept: Sequence[str],
        outcome: Outcome,
        *,
        is_hurried: bool = False,
    ) -> None:
        """Write down that the run has ended and what of it is not deleted; a thread writes on.

        The thread ends when it is stopped, or when the run's application container is deleted.
        Where this could not be written, the thread tries again.

        Args:
            until: when what is kept is waste, UTC; None: nothing is kept.
            kept: the kinds of resources that are.
            outcome: how the run has ended.
            is_hurried: whether to try once only.

        Raises:
            RunLost: the run is no longer this process's.
            ServiceError: it could not be written.
        """
        with self._lock:
            update = {
                "state": RunState.DELETING,
                "until": until and until.astimezone(UTC),
                "kept": tuple(kept),
                "outcome": outcome,
            }
            self._beat = self._beat.model_copy(update=update)
            if self._thread.ident is None:
                self._thread.start()
            self._rewrite(self._beat, **(ONE_TRY if is_hurried else {}))

    def finish(self) -> None:
        """Stop; from now on anybody can resume what `mark_ended` has left.

        If that cannot be written, they can as soon as this heartbeat is past its limit.
        """
        self.stop()
        is_others = isinstance(self._lost, RunTakenOver)
        if is_others or self._beat.state is not RunState.DELETING or self._beat.until is None:
            return
        try:
            self.mark_kept(self._beat.until, self._beat.kept)
        except (RunLost, ServiceError) as error:
            self._warn(f"what is kept can be resumed in {self._limit_s:g} s: {error}")

    def mark_kept(self, until: datetime, kept: Sequence[str] | None = None) -> None:
        """Stop, and declare what the run leaves to be evidence: anybody may resume it.

        Args:
            until: when it is waste, UTC.
            kept: the kinds of resources that are, `pool`, `job`, `containers`; None: all.

        Raises:
            RunLost: the run is no longer this process's.
        """
        self.stop()
        with self._lock:
            update = {
                "state": RunState.KEPT,
                "until": until.astimezone(UTC),
                "kept": None if kept is None else tuple(kept),
            }
            self._rewrite(self._beat.model_copy(update=update))

    def renew(self) -> None:
        """Stop, and write once more, which proves that the run is still this process's.

        Raises:
            RunLost: it is not.
        """
        self.stop()
        with self._lock:
            self._rewrite(self._beat)

    def stop(self) -> None:
        """End the thread, and wait for a write in flight."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def check(self) -> None:
        """Return if this process may continue the run; before it is taken, it may.

        Raises:
            HeartbeatLost: its heartbeat is gone, or was not written for its limit, and cannot be.
            RunTakenOver: another process has taken the run.
        """
        if self._lost:
            raise self._lost
        if self.is_held and self._silent_s > self._limit_s:
            self._end_silence()

    @property
    def _silent_s(self) -> float:
        return awake_s() - self._written

    def _end_silence(self) -> None:
        """Write after more than the limit: the run goes on if nobody has taken it meanwhile."""
        with self._lock:
            silent_s = self._silent_s
            if silent_s <= self._limit_s:
                return
            try:
                self._rewrite(self._beat, **ONE_TRY)
            except ServiceError as error:
                self._lost = HeartbeatLost(
                    self._run.name,
                    f"it could not be written for {silent_s:.0f} s, and {self._limit_s:g} s is its "
                    f"limit ({error}); when the storage account can be reached again, "
                    f"resume={self._run.name} continues it",
                )
                raise self._lost from error
        self._warn(
            f"the heartbeat was not written for {silent_s:.0f} s, longer than its limit of "
            f"{self._limit_s:g} s: this process or its machine was suspended, or too busy; nobody "
            "has taken the run over, so it continues"
        )

    def _is_stuck(self) -> bool:
        """Tell whether the run has not moved for the limit, though it does not wait for anybody."""
        if self._movement is None or self._beat.state is RunState.WAITING:
            return False
        return self._movement.age_s > self._limit_s

    def _keep_writing(self) -> None:
        is_stuck = False
        while not self._stopping.wait(self._limit_s / BEATS_PER_LIMIT):
            was_stuck, is_stuck = is_stuck, self._is_stuck()
            if is_stuck:
                if not was_stuck:
                    self._warn(
                        f"the run has not moved for {self._limit_s:g} s: without a heartbeat it "
                        "counts as dead after as long again"
                    )
                continue
            try:
                with self._lock:
                    if self._lost:
                        return
                    self._rewrite(self._beat, **ONE_TRY)
            except RunLost:
                # Raised by `check`, in the thread that works.
                return
            except ServiceError as error:
                if not self.trouble:
                    self._warn(f"{error}; the run continues for {self._limit_s:g} s without it")
                self.trouble = str(error)

    def _rewrite(self, beat: Beat, **options: Any) -> None:
        """Write on the condition that the last write was this process's."""
        try:
            self._write(beat, self._etag, **options)
        except RunLost as lost:
            self._lost = lost
            raise

    def _write(self, beat: Beat, etag: str | None, **options: Any) -> None:
        """Write if the blob still has that ETag, or, without one, if there is none."""
        began = awake_s()
        with service_errors("write the heartbeat"):
            written = ""
            try:
                written = send_beat(self._blobs, self._run, beat, etag, **options)
            except HttpResponseError as error:
                # Somebody else's, gone, or this process's own, whose answer was lost.
                if not is_refused(error):
                    raise
            self._etag = written or self._own_etag(beat)
        self._beat, self._written, self.trouble = beat, began, ""

    def _own_etag(self, beat: Beat) -> str:
        seen = look_at_heartbeat(self._blobs, self._run)
        if seen is None:
            raise HeartbeatLost(self._run.name, "somebody deleted it, or its container")
        if seen.beat.process != beat.process:
            raise RunTakenOver(self._run.name, seen.beat.holder)
        etag = (
            seen.etag if seen.beat == beat else send_beat(self._blobs, self._run, beat, seen.etag)
        )
        return known_etag(etag)

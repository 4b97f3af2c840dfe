"""The batch tasks: added in collections; those that are there already stay as they are."""

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial

from azure.batch.models import BatchTaskCreateResult, BatchTaskGroup
from prefect.logging import get_run_logger

from prefect_azure_batch.errors import (
    BatchTasksRefused,
    BatchTaskTooLarge,
    ServiceError,
    SubmissionTimedOut,
)
from prefect_azure_batch.messages import few
from prefect_azure_batch.model.tasks import PlannedTask
from prefect_azure_batch.service import specs
from prefect_azure_batch.service.context import WorkContext
from prefect_azure_batch.service.outages import Backoff, Outage
from prefect_azure_batch.service.parallel import TURN_S
from prefect_azure_batch.service.refusals import lowered, service_errors
from prefect_azure_batch.service.signals import pause
from prefect_azure_batch.service.step import step

# More than a megabyte in all, or too many resource files for one batch task.
TOO_LARGE = frozenset({"RequestBodyTooLarge", "RequestEntityTooLarge"})
# What the service takes in one call.
COLLECTION_SIZE = 100
# So many calls at once keep the service busy, and are too few to be throttled for.
NUM_THREADS = 4
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
MOST_NAMED = 5


@step("add batch tasks", is_repeated=False)
def add_batch_tasks(context: WorkContext, planned: Sequence[PlannedTask]) -> None:
    """Add batch tasks to the job; those that are there already stay as they are.

    The SDK's `create_tasks` would repeat refused ones for ever, so the collections are sent here.

    Raises:
        BatchTasksRefused: the service will never take some of them.
        BatchTaskTooLarge: one is larger than a call may be.
        SubmissionTimedOut: they were not all in after `submission_timeout_s` seconds.
        ServiceError: the service refused the call, or was out of reach for too long.
    """
    _Submission(context, planned).finish()
    get_run_logger().info("job %s has %d more batch tasks", context.run.job_id, len(planned))


class _Submission:
    """Batch tasks on their way into a job; only the calls themselves are made in threads."""

    def __init__(self, context: WorkContext, planned: Sequence[PlannedTask]) -> None:
        self._context = context
        self._job_id = context.run.job_id
        self._build = partial(
            specs.batch_task,
            run=context.run,
            workload=context.workload,
            settings=context.job,
            container_url=context.write_url(),
            read_url=context.read_url,
        )
        self._waiting = deque(planned)
        self._num_planned = len(planned)
        self._num_taken = 0
        self._size = COLLECTION_SIZE
        self._timeout_s = context.job.submission_timeout_s
        self._deadline = time.monotonic() + self._timeout_s
        self._outage = Outage()
        self._pause = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._not_before = 0.0
        self._trouble = "the service is slow"

    def finish(self) -> None:
        """Send all batch tasks, and those again that were not taken for the moment."""
        sent: dict[Future[list[BatchTaskCreateResult]], list[PlannedTask]] = {}
        threads = ThreadPoolExecutor(NUM_THREADS)
        try:
            while self._waiting or sent:
                self._context.check()
                self._check_time()
                pause_s = self._not_before - time.monotonic()
                while self._waiting and len(sent) < NUM_THREADS and pause_s <= 0:
                    chunk = self._next_chunk()
                    sent[threads.submit(self._send, chunk)] = chunk
                if not sent:
                    pause(min(pause_s, TURN_S))
                for call in wait(sent, TURN_S, FIRST_COMPLETED).done:
                    self._read(call, sent.pop(call))
        finally:
            # After an error nothing is worth waiting for: what a call in flight still adds goes
            # with the job.
            threads.shutdown(wait=False, cancel_futures=True)

    def _check_time(self) -> None:
        if time.monotonic() >= self._deadline:
            taken, planned = self._num_taken, self._num_planned
            raise SubmissionTimedOut(self._job_id, taken, planned, self._timeout_s, self._trouble)

    def _next_chunk(self) -> list[PlannedTask]:
        return [self._waiting.popleft() for _ in range(min(self._size, len(self._waiting)))]

    def _send(self, chunk: Sequence[PlannedTask]) -> list[BatchTaskCreateResult]:
        # Built here, and dropped with the answer: memory does not grow with their number.
        group = BatchTaskGroup(task_values=[self._build(item) for item in chunk])
        with service_errors("add batch tasks"):
            answer = self._context.batch.create_task_collection(self._job_id, group)
        return answer.result_values or []

    def _read(
        self, call: Future[list[BatchTaskCreateResult]], chunk: Sequence[PlannedTask]
    ) -> None:
        try:
            results = call.result()
        except ServiceError as error:
            if error.code in TOO_LARGE:
                self._send_smaller(chunk, error)
            else:
                self._outage.endure(error)
                self._send_later(chunk, str(error), error.retry_after_s)
            return
        self._outage.end()
        self._take(chunk, results)

    def _send_smaller(self, chunk: Sequence[PlannedTask], error: ServiceError) -> None:
        if len(chunk) == 1:
            raise BatchTaskTooLarge(
                chunk[0].id, len(chunk[0].files), len(chunk[0].inputs)
            ) from error
        self._size = min(self._size, len(chunk) // 2)
        self._waiting.extendleft(reversed(chunk))

    def _send_later(self, chunk: Sequence[PlannedTask], trouble: str, asked_s: float = 0) -> None:
        self._trouble = trouble
        self._waiting.extend(chunk)
        # Calls of the same moment have the same trouble: it is waited for once.
        if time.monotonic() >= self._not_before:
            pause_s = max(self._pause.next_s(), asked_s)
            get_run_logger().warning("%s; sending again in %g s", trouble, pause_s)
            self._not_before = time.monotonic() + pause_s

    def _take(self, chunk: Sequence[PlannedTask], results: Sequence[BatchTaskCreateResult]) -> None:
        taken = taken_ids(self._job_id, results)
        left = [item for item in chunk if item.id not in taken]
        self._num_taken += len(chunk) - len(left)
        if left:
            codes = ", ".join(
                sorted({_code(item) for item in results if item.task_id not in taken})
            )
            trouble = f"the service did not take {left[0].id} and {len(left) - 1} more: {codes}"
            self._send_later(left, trouble)
        else:
            self._pause.reset()


def taken_ids(job_id: str, results: Sequence[BatchTaskCreateResult]) -> frozenset[str]:
    """Return which batch tasks of a collection a job has now; the others can be sent again.

    Raises:
        BatchTasksRefused: the service will never take some of them.
    """
    refused = {
        str(result.task_id): result
        for result in results
        if lowered(result.status) != "success" and _code(result) != "TaskExists"
    }
    lasting = [item for item in refused.values() if lowered(item.status) != "servererror"]
    if lasting:
        names = few([f"{item.task_id} ({_code(item)})" for item in lasting], MOST_NAMED)
        raise BatchTasksRefused(f"job {job_id} did not take batch tasks {names}", _code(lasting[0]))
    return frozenset(str(item.task_id) for item in results) - refused.keys()


def _code(result: BatchTaskCreateResult) -> str:
    code = result.error.code if result.error else None
    return str(code or "") or lowered(result.status) or "no code"

"""The index of waiting tasks: what it costs, and that it follows from the records alone."""

from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from local_azure.batch.engine.dependencies import Dependencies
from local_azure.batch.state.records import Execution, Job, Record, Task
from local_azure.batch.state.states import JobState, TaskState
from local_azure.batch.state.store import Store

NOW = datetime(2026, 11, 22, tzinfo=UTC)
BASE: dict[str, Any] = {"created": NOW, "state_since": NOW, "modified": NOW, "etag": "x"}
SUCCESS = Execution(exit_code=0, result="success")
FAILURE = Execution(exit_code=1, result="failure", failure={"code": "FailureExitCode"})


class Counted(Store):
    """A store that counts what is looked up in it."""

    def __init__(self) -> None:
        super().__init__()
        self.lookups = 0
        find = self.tasks.find

        def counting(*ids: str) -> Task | None:
            self.lookups += 1
            return find(*ids)

        self.tasks.find = counting  # type: ignore[method-assign]


@pytest.fixture
def store() -> Counted:
    """An account with a job whose tasks may depend on each other."""
    store = Counted()
    store.jobs.put(
        Job(id="j", serial=1, state=JobState.ACTIVE, body={"usesTaskDependencies": True}, **BASE)
    )
    return store


def task(task_id: str, depends_on: dict[str, Any] | None = None) -> Task:
    """Return an active task of that job."""
    body: dict[str, Any] = {"requiredSlots": 1}
    if depends_on is not None:
        body["dependsOn"] = depends_on
    return Task(id=task_id, job_id="j", serial=2, state=TaskState.ACTIVE, body=body, **BASE)


def follow(store: Store) -> Dependencies:
    """Return an index that hears of every change of a store."""
    dependencies = Dependencies(store)

    def changed(old: Record | None, new: Record | None) -> None:
        found = old or new
        if isinstance(found, Task):
            dependencies.changed(found, new if isinstance(new, Task) else None)

    store.subscribe(changed)
    return dependencies


def ready(store: Store, dependencies: Dependencies) -> list[str]:
    """Return the ids of the tasks that may run."""
    return sorted(task.id for task in dependencies.ready(store.jobs.get("j")))


def complete(store: Store, task_id: str, execution: Execution = SUCCESS) -> None:
    """Take a task through its states to its end."""
    for state in (TaskState.PREPARING, TaskState.RUNNING):
        store.tasks.put(store.tasks.get("j", task_id).move(state, NOW, node_id="n"))
    done = store.tasks.get("j", task_id).move(TaskState.COMPLETED, NOW, execution=execution)
    store.tasks.put(done)


@pytest.mark.parametrize("order", list(permutations("abc")))
def test_any_order_of_ends(store: Counted, order: tuple[str, ...]) -> None:
    """A task may run after the last of those it waits for, whichever that is."""
    dependencies = follow(store)
    store.tasks.put(task("waits", {"taskIds": ["a", "b", "c"]}))
    for task_id in order:
        store.tasks.put(task(task_id))

    for task_id in order:
        assert "waits" not in ready(store, dependencies)
        complete(store, task_id)

    assert ready(store, dependencies) == ["waits"]


@pytest.mark.parametrize("last", [SUCCESS, FAILURE])
def test_the_index_is_built_again_from_the_records(store: Counted, last: Execution) -> None:
    """Given every record as if it were new, in any order, it says what the first one said."""
    first = follow(store)
    store.tasks.put(task("late", {"taskIds": ["1", "2"]}))
    store.tasks.put(task("range", {"taskIdRanges": [{"start": 1, "end": 3}]}))
    for task_id in ("1", "2", "3"):
        store.tasks.put(task(task_id))
    complete(store, "1")
    complete(store, "2", last)

    second = Dependencies(store)
    for record in reversed(store.tasks.list("j")):
        second.changed(record, record)

    expected = ["3", "late"] if last is SUCCESS else ["3"]
    assert ready(store, first) == ready(store, second) == expected


def test_waiting_costs_nothing(store: Counted) -> None:
    """The ends of other tasks look nothing up for those that wait, however many they are."""
    dependencies = follow(store)
    for number in range(1000):
        store.tasks.put(task(f"w{number}", {"taskIdRanges": [{"start": 5, "end": 2**31 - 1}]}))
    before = store.lookups

    for number in range(10, 20):
        store.tasks.put(task(str(number)))
        complete(store, str(number))
    assert ready(store, dependencies) == []

    # `get` of the test's own goes through `find`.
    assert store.lookups - before <= 10 * 4


def test_a_fan_in_asks_for_each_dependency_once(store: Counted) -> None:
    """A task that waits for many is not checked anew at the end of each."""
    dependencies = follow(store)
    store.tasks.put(task("last", {"taskIdRanges": [{"start": 0, "end": 999}]}))
    before = store.lookups
    for number in range(1000):
        store.tasks.put(task(str(number)))
        complete(store, str(number))

    assert ready(store, dependencies) == ["last"]
    assert store.lookups - before <= 1000 * 5


def test_nothing_is_left_of_deleted_tasks(store: Counted) -> None:
    """Waiting and ready ones, and those that are waited for, can all go."""
    dependencies = follow(store)
    store.tasks.put(task("waits", {"taskIds": ["a"]}))
    store.tasks.put(task("a"))
    for task_id in ("a", "waits"):
        store.tasks.remove(store.tasks.get("j", task_id))

    books = (dependencies._waiters, dependencies._watchers, dependencies._ready)
    assert [len(book) for book in books] == [0, 0, 0]

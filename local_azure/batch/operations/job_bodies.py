"""What requests say about a job: its properties, their defaults, and which of them may change."""

from local_azure.batch.calls import schemas
from local_azure.batch.state.records import PERFORM_JOB_ACTION
from local_azure.batch.wire.errors import conflict, invalid_property, property_error
from local_azure.batch.wire.formats import INFINITE, Json, parse_duration

_MAX_RELEASE_S = 15 * 60
_MAX_AUTO_POOL_PREFIX = 20


def _parallel_tasks(name: str, value: object) -> int:
    number = int(schemas.integer(-1)(name, value))
    if number == 0:
        raise invalid_property(name, value, "it must be -1 (no limit) or greater than 0")
    return number


def _release_limit(name: str, value: object) -> str:
    text = schemas.duration(name, value)
    if parse_duration(text).total_seconds() > _MAX_RELEASE_S:
        raise invalid_property(name, value, "it must be 15 minutes or less")
    return text


def _anything(_name: str, value: object) -> object:
    return value


def _auto_pool_prefix(name: str, value: object) -> str:
    text = schemas.resource_id(name, value)
    if len(text) > _MAX_AUTO_POOL_PREFIX:
        raise invalid_property(name, value, f"it has {_MAX_AUTO_POOL_PREFIX} characters at most")
    return text


def _auto_pool(name: str, value: object) -> Json:
    """Accept a pool's specification; it is checked when the pool is created from it."""
    if not isinstance(value, dict):
        raise invalid_property(name, value, "an object is expected")
    if "id" in value:
        raise property_error("InvalidPropertyValue", f"{name}.id", "there is no such property")
    return value


_AUTO_POOL = schemas.obj(
    {
        "autoPoolIdPrefix": _auto_pool_prefix,
        "poolLifetimeOption": schemas.only("job"),
        "keepAlive": schemas.boolean,
        "pool": _auto_pool,
    },
    ("poolLifetimeOption", "pool"),
)
_NODE_TASK: dict[str, schemas.Parser] = {
    "id": schemas.resource_id,
    "commandLine": schemas.command_line,
    "containerSettings": schemas.unsupported,
    "resourceFiles": schemas.RESOURCE_FILES,
    "environmentSettings": schemas.ENVIRONMENT,
    "userIdentity": schemas.USER_IDENTITY,
}
_CHANGEABLE: dict[str, schemas.Parser] = {
    "priority": schemas.integer(-1000, 1000),
    "maxParallelTasks": _parallel_tasks,
    "allowTaskPreemption": schemas.unsupported,
    "constraints": schemas.obj(
        {"maxWallClockTime": schemas.duration, "maxTaskRetryCount": schemas.integer(-1)}
    ),
    "poolInfo": schemas.obj(
        {
            "poolId": schemas.resource_id,
            "autoPoolSpecification": _AUTO_POOL,
        }
    ),
    "onAllTasksComplete": schemas.one_of("noaction", "terminatejob"),
    "metadata": schemas.METADATA,
    "networkConfiguration": schemas.unsupported,
}
_CREATE = schemas.obj(
    {
        "id": schemas.resource_id,
        "displayName": schemas.string,
        "usesTaskDependencies": schemas.boolean,
        "jobManagerTask": schemas.obj(
            {
                **_NODE_TASK,
                "displayName": schemas.string,
                "outputFiles": schemas.OUTPUT_FILES,
                "constraints": schemas.TASK_CONSTRAINTS,
                "requiredSlots": schemas.integer(1, 256),
                "killJobOnCompletion": schemas.boolean,
                "runExclusive": schemas.boolean,
                "allowLowPriorityNode": schemas.boolean,
                "applicationPackageReferences": schemas.unsupported,
            },
            ("id", "commandLine"),
        ),
        "jobPreparationTask": schemas.obj(
            {
                **_NODE_TASK,
                "constraints": schemas.TASK_CONSTRAINTS,
                "waitForSuccess": schemas.boolean,
                "rerunOnNodeRebootAfterSuccess": schemas.boolean,
            },
            ("commandLine",),
        ),
        "jobReleaseTask": schemas.obj(
            {
                **_NODE_TASK,
                "maxWallClockTime": _release_limit,
                "retentionTime": schemas.duration,
            },
            ("commandLine",),
        ),
        "commonEnvironmentSettings": schemas.ENVIRONMENT,
        "onTaskFailure": schemas.one_of("noaction", PERFORM_JOB_ACTION),
        **_CHANGEABLE,
    },
    ("id", "poolInfo"),
)
_UPDATE = schemas.obj(_CHANGEABLE)
_REPLACE = schemas.obj(
    {
        **_CHANGEABLE,
        # The whole entity may come back; what cannot be changed is accepted and ignored.
        **dict.fromkeys(
            (
                *("id", "url", "eTag", "lastModified", "creationTime", "state", "displayName"),
                *("stateTransitionTime", "previousState", "previousStateTransitionTime"),
                *("usesTaskDependencies", "onTaskFailure", "executionInfo", "stats"),
                *("commonEnvironmentSettings", "jobManagerTask", "jobPreparationTask"),
                "jobReleaseTask",
            ),
            _anything,
        ),
    },
    ("poolInfo",),
)
_DEFAULTS: Json = {
    "priority": 0,
    "maxParallelTasks": -1,
    "allowTaskPreemption": False,
    "onAllTasksComplete": "noaction",
}
_IDENTITY: Json = {"autoUser": {"scope": "pool", "elevationLevel": "nonadmin"}}
_TASK_CONSTRAINTS: Json = {
    "maxWallClockTime": INFINITE,
    "retentionTime": "P7D",
    "maxTaskRetryCount": 0,
}
_PARTS: dict[str, Json] = {
    "jobManagerTask": {
        "killJobOnCompletion": True,
        "runExclusive": True,
        "allowLowPriorityNode": True,
        "requiredSlots": 1,
        "userIdentity": _IDENTITY,
    },
    "jobPreparationTask": {
        "id": "jobpreparation",
        "waitForSuccess": True,
        "rerunOnNodeRebootAfterSuccess": True,
        "userIdentity": _IDENTITY,
    },
    "jobReleaseTask": {
        "id": "jobrelease",
        "maxWallClockTime": "PT15M",
        "retentionTime": "P7D",
        "userIdentity": _IDENTITY,
    },
}


def read_new(given: object) -> Json:
    """Read the body of a creation, with the service's defaults.

    Raises:
        BatchError: 400 or 501 that names the property.
    """
    body = schemas.read(_CREATE, given)
    _check_pool(body["poolInfo"])
    if "jobReleaseTask" in body and "jobPreparationTask" not in body:
        reason = "a job with a release task needs a preparation task"
        raise invalid_property("jobReleaseTask", body["jobReleaseTask"], reason)
    for name, defaults in _PARTS.items():
        if name in body:
            body[name] = defaults | body[name]
    check_ids(body, [body["jobManagerTask"]["id"]] if "jobManagerTask" in body else [])
    for name in ("jobManagerTask", "jobPreparationTask"):
        if name in body:
            body[name]["constraints"] = _TASK_CONSTRAINTS | body[name].get("constraints", {})
    return with_defaults(
        {"usesTaskDependencies": False, "onTaskFailure": "noaction"} | _DEFAULTS | body
    )


def check_ids(body: Json, task_ids: list[str]) -> None:
    """Refuse ids of tasks that the job's preparation or release task has.

    Raises:
        BatchError: 409 that says which of the two.
    """
    for noun in ("Preparation", "Release"):
        other = body.get(f"job{noun}Task")
        for task_id in task_ids:
            if other is not None and other["id"].lower() == task_id.lower():
                text = f"The specified id is that of the job's {noun.lower()} task"
                raise conflict(f"TaskIdSameAsJob{noun}Task", text, task_id)


def with_defaults(body: Json) -> Json:
    """Complete a body's constraints."""
    constraints = {"maxWallClockTime": INFINITE, "maxTaskRetryCount": 0}
    return body | {"constraints": constraints | body.get("constraints", {})}


def _check_pool(pool_info: Json) -> None:
    if ("poolId" in pool_info) == ("autoPoolSpecification" in pool_info):
        reason = "one of poolId and autoPoolSpecification is required"
        raise invalid_property("poolInfo", pool_info, reason)


def updated(body: Json, given: object) -> Json:
    """Return a job's body after a patch: only what is given is replaced."""
    changes = schemas.read(_UPDATE, given)
    if "poolInfo" in changes:
        _check_pool(changes["poolInfo"])
    return with_defaults(body | changes)


def replaced(body: Json, given: object) -> Json:
    """Return a job's body after a put: what is not given falls back to its default."""
    changes = schemas.read(_REPLACE, given)
    _check_pool(changes["poolInfo"])
    kept = {name: value for name, value in body.items() if name not in _CHANGEABLE}
    changed = {name: value for name, value in changes.items() if name in _CHANGEABLE}
    return with_defaults(kept | _DEFAULTS | changed)

"""Why a task, a start task or a resize failed, in the service's own shapes."""

from local_azure.batch.wire.formats import Json


def failure(code: str, message: str, *details: tuple[str, str], server: bool = False) -> Json:
    """Write a failureInfo.

    Args:
        code: one of the service's codes, for example FailureExitCode.
        message: one sentence for people.
        details: (name, value) pairs.
        server: the service is to blame, not the user.
    """
    return {
        "category": "ServerError" if server else "UserError",
        "code": code,
        "message": message,
        "details": [{"name": name, "value": value} for name, value in details],
    }


def exit_code_failure(exit_code: int) -> Json:
    """The command ended with an exit code other than 0."""
    message = "The task exited with an exit code representing a failure"
    return failure("FailureExitCode", message, ("Message", message), ("ExitCode", str(exit_code)))


def task_ended(by: str) -> Json:
    """The task was ended from outside: by a limit or a request."""
    message = "The task was ended"
    return failure("TaskEnded", message, ("Message", f"{message} {by}"))


def resize_error(code: str, message: str, *values: tuple[str, str]) -> Json:
    """Write one of a pool's resizeErrors."""
    return {
        "code": code,
        "message": message,
        "values": [{"name": name, "value": value} for name, value in values],
    }

"""The service's errors: one class, and one constructor for each code that needs a text of its own.

Codes and HTTP statuses are the contract with clients; the texts are for people.
"""

from collections.abc import Iterable
from datetime import datetime

from local_azure.batch.wire.formats import Json, format_time

BAD_REQUEST, FORBIDDEN, NOT_FOUND, CONFLICT = 400, 403, 404, 409


class BatchError(Exception):
    """An answer of the service other than success.

    Args:
        status: HTTP status.
        code: the service's error code, on which clients branch.
        message: one sentence for people.
        values: (key, value) details, sent along as they are.
    """

    def __init__(
        self, status: int, code: str, message: str, values: Iterable[tuple[str, str]] = ()
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.values = tuple(values)


def conflict(code: str, what: str, resource_id: str) -> BatchError:
    """409 with `code`: the resource's state forbids the operation."""
    return BatchError(CONFLICT, code, f"{what}.", [("Id", resource_id)])


def exists(noun: str, resource_id: str) -> BatchError:
    """409 PoolExists, JobExists or TaskExists."""
    return conflict(f"{noun}Exists", f"The specified {noun.lower()} already exists", resource_id)


def not_found(noun: str, resource_id: str) -> BatchError:
    """404 PoolNotFound, NodeNotFound, JobNotFound, TaskNotFound or FileNotFound."""
    text = f"The specified {noun.lower()} does not exist."
    return BatchError(NOT_FOUND, f"{noun}NotFound", text, [("Id", resource_id)])


def property_error(code: str, name: str, reason: str, value: object = None) -> BatchError:
    """400 about one property of the request body."""
    values = [("PropertyName", name), ("Reason", reason)]
    if value is not None:
        values.insert(1, ("PropertyValue", str(value)))
    return BatchError(BAD_REQUEST, code, f"The property {name} is not valid: {reason}.", values)


def invalid_property(name: str, value: object, reason: str) -> BatchError:
    """400 InvalidPropertyValue."""
    return property_error("InvalidPropertyValue", name, reason, value)


def missing_property(name: str) -> BatchError:
    """400 MissingRequiredProperty."""
    return property_error("MissingRequiredProperty", name, "it is required")


def invalid_query(name: str, value: str, reason: str) -> BatchError:
    """400 InvalidQueryParameterValue."""
    return BatchError(
        BAD_REQUEST,
        "InvalidQueryParameterValue",
        f"The query parameter {name} is not valid: {reason}.",
        [("QueryParameterName", name), ("QueryParameterValue", value), ("Reason", reason)],
    )


def invalid_body(reason: str) -> BatchError:
    """400 InvalidRequestBody."""
    return BatchError(
        BAD_REQUEST,
        "InvalidRequestBody",
        f"The request body is not valid: {reason}.",
        [("Reason", reason)],
    )


def not_implemented(what: str) -> BatchError:
    """501: the real service has it, this emulator does not (see docs/emulator.md)."""
    return BatchError(
        501,
        "NotImplementedByEmulator",
        f"The Azure Batch emulator does not implement {what}; see docs/emulator.md.",
        [("NotImplemented", what)],
    )


def authentication_failed(reason: str) -> BatchError:
    """403 AuthenticationFailed."""
    return BatchError(
        FORBIDDEN,
        "AuthenticationFailed",
        "Server failed to authenticate the request. Make sure the value of Authorization header "
        "is formed correctly including the signature.",
        [("AuthenticationErrorDetail", reason)],
    )


def condition_not_met(*, write: bool) -> BatchError:
    """412 (write) or 304 (read) ConditionNotMet."""
    text = "The condition specified using HTTP conditional header(s) is not met."
    return BatchError(412 if write else 304, "ConditionNotMet", text)


def error_body(error: BatchError, base_url: str, request_id: str, now: datetime) -> Json:
    """Write an error in the service's envelope."""
    text = f"{error.message}\nRequestId:{request_id}\nTime:{format_time(now)}"
    body: Json = {
        "odata.metadata": f"{base_url}/$metadata#Microsoft.Azure.Batch.Protocol.Entities."
        "Container.errors/@Element",
        "code": error.code,
        "message": {"lang": "en-US", "value": text},
    }
    if error.values:
        body["values"] = [{"key": key, "value": value} for key, value in error.values]
    return body

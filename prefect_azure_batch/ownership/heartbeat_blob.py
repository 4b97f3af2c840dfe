"""The blob of a run's heartbeat: what it says, and how old it is.

Its age is measured by the service's clock alone: the Last-Modified of the blob against the Date
of the same answer.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ServiceResponseError
from azure.core.pipeline import PipelineResponse
from azure.storage.blob import BlobServiceClient
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from prefect_azure_batch.credentials.transport import ignore
from prefect_azure_batch.errors import HeartbeatDamaged
from prefect_azure_batch.model.run import HEARTBEAT_BLOB, Run
from prefect_azure_batch.service.answers import content_of, instant_of, optional
from prefect_azure_batch.service.refusals import error_code
from prefect_azure_batch.service.sas import CLOCK_SKEW
from prefect_azure_batch.settings import Outcome

# Of the 30 s that a cancelled run is given: one write in flight and one more, which connect and
# wait so long each, leave time for the deletions.
BEAT_TIMEOUT_S = 5
GONE = frozenset({"BlobNotFound", "ContainerNotFound", "ContainerBeingDeleted", "ResourceNotFound"})


class RunState(StrEnum):
    """What a run is doing, as far as others must know.

    Attributes:
        RUNNING: at work; dead if it is silent for its limit.
        WAITING: asks a person, without a thread that writes; alive until `until`.
        KEPT: ended, and its resources are evidence until `until`; anybody may resume it.
        DELETING: ended or dead, and being deleted by `holder`, the run itself or a janitor, which
            writes it meanwhile.
    """

    RUNNING = "running"
    WAITING = "waiting"
    KEPT = "kept"
    DELETING = "deleting"


class Beat(BaseModel):
    """What the blob says.

    Attributes:
        holder: the flow run that works on the run, 32 hexadecimal digits.
        process: distinguishes processes of one flow run: Prefect starts a retry in a new one.
        attempt: the last attempt that was opened; 0 before the first.
        state: what the run is doing.
        until: when waiting or keeping ends, UTC.
        kept: the kinds of resources that are kept: `pool`, `job`, `containers`; None: all. The
            others are waste, should the run have died before it deleted them.
        outcome: how the run has ended; None: it has not.
    """

    model_config = ConfigDict(frozen=True)

    holder: str
    process: str
    attempt: int = 0
    state: RunState = RunState.RUNNING
    until: AwareDatetime | None = None
    kept: tuple[str, ...] | None = None
    outcome: Outcome | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to resume: it succeeded, and its containers are waste."""
        has_succeeded = self.outcome is Outcome.SUCCEEDED
        return has_succeeded and self.kept is not None and "containers" not in self.kept


@dataclass(frozen=True)
class Sighting:
    """A heartbeat as it was seen.

    Attributes:
        beat: what it said.
        etag: for writing on the condition that nobody else has; empty if it came without one.
        age_s: seconds since it was written, by the service's clock.
        seen: that clock when it was read, UTC.
    """

    beat: Beat
    etag: str
    age_s: float
    seen: datetime


class ServiceClock:
    """The service's time, noted from its answers; given to the SDK as `raw_response_hook`."""

    def __init__(self) -> None:
        self._noted: datetime | None = None
        self._noted_at = 0.0

    def __call__(self, response: PipelineResponse[Any, Any]) -> None:
        """Note the time of an answer, if it says one."""
        said = instant_of(response.http_response.headers.get("Date"))
        if said is not None:
            self._noted, self._noted_at = said, time.monotonic()

    @property
    def now(self) -> datetime:
        """The time of the service, UTC; if no answer has said it, the earliest that it can be.

        So nothing counts as older than it is because a clock of this machine is ahead.
        """
        if self._noted is None:
            return datetime.now(UTC) - CLOCK_SKEW
        return self._noted + timedelta(seconds=time.monotonic() - self._noted_at)

    def seconds_since(self, past: datetime) -> float:
        """Return how long ago something was, by this clock alone; at least 0."""
        return max(0.0, (self.now - past).total_seconds())


def look_at_heartbeat(blobs: BlobServiceClient, run: Run) -> Sighting | None:
    """Return a run's heartbeat, None if there is none or its container is going.

    Raises:
        HeartbeatDamaged: what is there cannot be read.
        HttpResponseError: the service refused for another reason.
    """
    clock = ServiceClock()
    blob = blobs.get_blob_client(run.application_container, HEARTBEAT_BLOB)
    try:
        found = blob.download_blob(raw_response_hook=clock)
    except HttpResponseError as error:
        if error_code(error) not in GONE:
            raise
        return None
    try:
        beat = Beat.model_validate_json(content_of(found))
    except ValidationError as error:
        raise HeartbeatDamaged(run.name) from error
    written, etag = optional(found.properties.last_modified), optional(found.properties.etag)
    # Nobody can say that one of unknown age is silent.
    age_s = clock.seconds_since(written) if written else 0.0
    return Sighting(beat, str(etag or ""), age_s, clock.now)


def send_beat(
    blobs: BlobServiceClient, run: Run, beat: Beat, etag: str | None, **options: Any
) -> str:
    """Write the blob if it still has that ETag or, without one, if there is none.

    Returns:
        Its new ETag, empty if the answer came without one.

    Raises:
        HttpResponseError: `is_refused` tells whether somebody else has written or deleted it.
        ServiceResponseError: the ETag is not known.
    """
    blob = blobs.get_blob_client(run.application_container, HEARTBEAT_BLOB)
    condition: dict[str, Any] = (
        {"etag": known_etag(etag), "match_condition": MatchConditions.IfNotModified}
        if etag is not None
        else {"match_condition": MatchConditions.IfMissing}
    )
    answer = blob.upload_blob(
        beat.model_dump_json(),
        overwrite=True,
        connection_timeout=BEAT_TIMEOUT_S,
        read_timeout=BEAT_TIMEOUT_S,
        # It is a movement of the thread that writes, not of the run.
        raw_response_hook=ignore,
        **condition,
        **options,
    )
    return str(answer.get("etag") or "")


def known_etag(etag: str) -> str:
    """Return an ETag, without which nobody can write on the condition that nobody else has.

    Raises:
        ServiceResponseError: the answer came without one.
    """
    if not etag:
        raise ServiceResponseError("its answer has no ETag")
    return etag


def is_refused(error: HttpResponseError) -> bool:
    """Tell whether a condition did not hold, or there was nothing to write to."""
    refusals = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED}
    return error.status_code in refusals

"""What a run would create and could cost, before anything exists; it holds no secret."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from prefect_azure_batch.collecting.markdown import escaped, table
from prefect_azure_batch.model.left_out import left_out_in_words
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.tasks import InputFile, Level, Upload, left_out_of
from prefect_azure_batch.model.workload import Workload
from prefect_azure_batch.plain_text import one_line
from prefect_azure_batch.service.sas import CLOCK_SKEW
from prefect_azure_batch.settings import JobSettings, PoolSettings
from prefect_azure_batch.staging.archives import readable_size

MOST_LEFT_OUT = 100
LONGEST_LEFT_OUT = 100_000


@dataclass(frozen=True, slots=True)
class Plan:
    """The numbers of a run that has not begun.

    Attributes:
        run: the common beginning of the names of its three containers, its job and its pool.
        pool: made, or the existing one, in words.
        image: of its nodes; empty for an existing pool.
        work: what the workload says of itself, by title.
        num_inputs: how many inputs.
        left_out: in words, what folders, globs and prefixes stand for and is not worked on.
        input_bytes: of all inputs.
        batch_tasks: how many of each kind.
        upload_blobs: how many blobs are uploaded at most; what is there already is not.
        upload_bytes: of them.
        job_limit: after so long the service ends the job.
        sas_until: when nodes can read and write no more, UTC.
        delete_after: when what is left of it is waste, UTC.
        highest_price: nodes at work until the job's limit; None if no price of a node is known.
    """

    run: str
    pool: str
    image: str
    work: Mapping[str, str]
    num_inputs: int
    left_out: str
    input_bytes: int
    batch_tasks: dict[str, int]
    upload_blobs: int
    upload_bytes: int
    job_limit: timedelta
    sas_until: datetime
    delete_after: datetime
    highest_price: float | None

    def rows(self) -> list[tuple[str, str]]:
        """Return what it says, each with its title."""
        tasks = ", ".join(f"{number:,} {kind}" for kind, number in self.batch_tasks.items())
        rows = [
            ("run", self.run),
            ("pool", self.pool),
            ("image", self.image),
            *self.work.items(),
            ("job", f"ended after {self.job_limit}"),
            ("inputs", f"{self.num_inputs:,} ({readable_size(self.input_bytes)})"),
            ("left out", self.left_out),
            ("batch tasks", f"{sum(self.batch_tasks.values()):,}: {tasks}"),
            ("upload", f"{self.upload_blobs:,} blobs, {readable_size(self.upload_bytes)} at most"),
            ("SAS valid until", _time(self.sas_until)),
            ("waste after", _time(self.delete_after)),
            ("price of the nodes", self._price()),
        ]
        return [(title, one_line(text)) for title, text in rows if text]

    def _price(self) -> str:
        if self.highest_price is None:
            return ""
        return f"{self.highest_price:,.2f} at most: until the job's limit"

    def summary(self) -> str:
        """Return the most important of it as one line."""
        inputs = f"{self.num_inputs:,} inputs ({readable_size(self.input_bytes)})"
        inputs += f", {self.left_out.partition(':')[0]} left out" if self.left_out else ""
        tasks = f"{sum(self.batch_tasks.values()):,} batch tasks"
        return f"{inputs}, {tasks}, {readable_size(self.upload_bytes)} to upload at most"

    def lines(self) -> list[str]:
        """Return it as lines of text."""
        return [f"{title}: {text}" for title, text in self.rows()]

    def markdown(self) -> str:
        """Return it as a table."""
        left_out = ["", f"Left out: {escaped(self.left_out, LONGEST_LEFT_OUT)}"]
        rows = [row for row in self.rows() if row[1] != self.left_out]
        lines = table(("what", "how much"), rows)
        return "\n".join([*lines, *(left_out if self.left_out else [])])


def make_plan(  # noqa: PLR0913, PLR0917 - these are what a run is made of
    run: Run,
    workload: Workload[Any],
    pool: PoolSettings,
    job: JobSettings,
    inputs: Sequence[InputFile],
    levels: Sequence[Level],
    uploads: Sequence[Upload],
) -> Plan:
    """Count what a run comes to.

    Args:
        run: names and times.
        workload: says what is done.
        pool: the nodes; of an existing pool what it says of itself.
        job: limits.
        inputs: what is worked on.
        levels: the batch tasks.
        uploads: everything on this machine that the nodes read.
    """
    makes_pool = not pool.existing_pool_id
    return Plan(
        run=run.name,
        pool=_pool(pool),
        image=f"{pool.image_publisher}:{pool.image_offer}:{pool.image_sku}" if makes_pool else "",
        work=workload.plan_rows(inputs),
        num_inputs=len(inputs),
        left_out=left_out_in_words(left_out_of(inputs), MOST_LEFT_OUT),
        input_bytes=sum(source.size for source in inputs),
        batch_tasks=dict(Counter(planned.kind for level in levels for planned in level)),
        upload_blobs=len(uploads),
        upload_bytes=sum(upload.size for upload in uploads),
        job_limit=timedelta(seconds=job.max_wall_clock_time_s),
        sas_until=run.deadline + CLOCK_SKEW,
        delete_after=run.delete_after,
        highest_price=_highest_price(pool, job) if makes_pool else None,
    )


def _pool(pool: PoolSettings) -> str:
    if pool.autoscale_formula:
        nodes = "nodes by its formula"
    else:
        nodes = f"{pool.dedicated_nodes} dedicated and {pool.spot_nodes} spot nodes"
    whose = f"{pool.existing_pool_id}, left as it is" if pool.existing_pool_id else "of its own"
    slots = f"{pool.task_slots_per_node} batch tasks at once on each"
    return f"{whose}: {nodes}, {pool.vm_size}, {slots}"


def _highest_price(pool: PoolSettings, job: JobSettings) -> float | None:
    if pool.node_price_per_hour is None:
        return None
    asked = pool.dedicated_nodes + pool.spot_nodes
    nodes = pool.max_nodes if pool.autoscale_formula else asked
    return nodes * pool.node_price_per_hour * job.max_wall_clock_time_s / 3600


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"

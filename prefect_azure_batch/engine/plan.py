"""What a run would create and could cost, told before anything exists; it holds no secret."""

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePath

from flows.word_count.packing import is_split, is_too_large
from prefect_azure_batch.collecting.markdown import table
from prefect_azure_batch.model.run import Run
from prefect_azure_batch.model.tasks import InputFile, PlannedTask
from prefect_azure_batch.service.sas import CLOCK_SKEW
from prefect_azure_batch.settings import JobSettings, PoolSettings
from prefect_azure_batch.staging.archives import Upload, readable_size


@dataclass(frozen=True, slots=True)
class Plan:
    """The numbers of a run that has not begun.

    Attributes:
        run: the common beginning of the names of its three containers, its job and its pool.
        pool: made, or the existing one, in words.
        image: of its nodes; empty for an existing pool.
        program: the user's own, with its arguments; empty for the word counter.
        num_inputs: how many texts.
        input_bytes: of all inputs.
        batch_tasks: how many of each kind.
        unsplit: inputs that are larger than a part may be, but compressed: counted whole.
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
    program: str
    num_inputs: int
    input_bytes: int
    batch_tasks: dict[str, int]
    unsplit: tuple[str, ...]
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
            ("program", self.program),
            ("job", f"ended after {self.job_limit}"),
            ("inputs", f"{self.num_inputs:,} ({readable_size(self.input_bytes)})"),
            ("batch tasks", f"{sum(self.batch_tasks.values()):,}: {tasks}"),
            ("counted whole", _named(self.unsplit, "cannot be split: compressed")),
            ("upload", f"{self.upload_blobs:,} blobs, {readable_size(self.upload_bytes)} at most"),
            ("SAS valid until", _time(self.sas_until)),
            ("waste after", _time(self.delete_after)),
            ("price of the nodes", self._price()),
        ]
        return [(title, text) for title, text in rows if text]

    def _price(self) -> str:
        if self.highest_price is None:
            return ""
        return f"{self.highest_price:,.2f} at most: until the job's limit"

    def summary(self) -> str:
        """Return the most important of it as one line."""
        inputs = f"{self.num_inputs:,} inputs ({readable_size(self.input_bytes)})"
        tasks = f"{sum(self.batch_tasks.values()):,} batch tasks"
        return f"{inputs}, {tasks}, {readable_size(self.upload_bytes)} to upload at most"

    def lines(self) -> list[str]:
        """Return it as lines of text."""
        return [f"{title}: {text}" for title, text in self.rows()]

    def markdown(self) -> str:
        """Return it as a table."""
        return "\n".join(table(("what", "how much"), self.rows()))


def make_plan(  # noqa: PLR0913, PLR0917 - these are what a run is made of
    run: Run,
    pool: PoolSettings,
    job: JobSettings,
    inputs: Sequence[InputFile],
    levels: Sequence[Sequence[PlannedTask]],
    uploads: Sequence[Upload],
) -> Plan:
    """Count what a run comes to.

    Args:
        run: names and times.
        pool: the nodes; of an existing pool what it says of itself.
        job: limits and packing.
        inputs: what is counted.
        levels: the batch tasks that read inputs, then those that add up what others counted.
        uploads: everything on this machine that the nodes read.
    """
    is_own = not pool.existing_pool_id
    unsplit = (item for item in inputs if is_too_large(item, job) and not is_split(item, job))
    return Plan(
        run=run.name,
        pool=_pool(pool),
        image=f"{pool.image_publisher}:{pool.image_offer}:{pool.image_sku}" if is_own else "",
        program=_program(job),
        num_inputs=len(inputs),
        input_bytes=sum(source.size for source in inputs),
        batch_tasks=dict(_kinds(levels)),
        unsplit=tuple(source.name for source in unsplit),
        upload_blobs=len(uploads),
        upload_bytes=sum(upload.size for upload in uploads),
        job_limit=timedelta(seconds=job.max_wall_clock_time_s),
        sas_until=run.deadline + CLOCK_SKEW,
        delete_after=run.delete_after,
        highest_price=_highest_price(pool, job) if is_own else None,
    )


def _pool(pool: PoolSettings) -> str:
    if pool.autoscale_formula:
        nodes = "nodes by its formula"
    else:
        nodes = f"{pool.dedicated_nodes} dedicated and {pool.spot_nodes} spot nodes"
    whose = f"{pool.existing_pool_id}, left as it is" if pool.existing_pool_id else "of its own"
    slots = f"{pool.task_slots_per_node} batch tasks at once on each"
    return f"{whose}: {nodes}, {pool.vm_size}, {slots}"


def _program(job: JobSettings) -> str:
    if job.program is None:
        return ""
    return shlex.join((PurePath(job.program).name, *job.program_arguments, "INPUT", "OUTPUT"))


def _highest_price(pool: PoolSettings, job: JobSettings) -> float | None:
    if pool.node_price_per_hour is None:
        return None
    asked = pool.dedicated_nodes + pool.spot_nodes
    nodes = pool.max_nodes if pool.autoscale_formula else asked
    return nodes * pool.node_price_per_hour * job.max_wall_clock_time_s / 3600


def _kinds(levels: Sequence[Sequence[PlannedTask]]) -> Iterable[tuple[str, int]]:
    reading, *adding = levels
    yield from Counter(_kind(item) for item in reading).items()
    if adding:
        yield "that add up counts", sum(map(len, adding))


def _kind(planned: PlannedTask) -> str:
    if planned.url_of:
        return "for parts of files"
    return "for one file each" if len(planned.inputs) == 1 else "for many files each"


def _named(names: Sequence[str], why: str) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more}, {why}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"

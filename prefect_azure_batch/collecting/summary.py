"""What a run found and what it took, for people and for programs; pure."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import PurePath
from typing import TextIO

from prefect_azure_batch.collecting.markdown import table
from prefect_azure_batch.model.tasks import Output, Result, WordCounts

BLOCKS = "▏▎▍▌▋▊▉█"
BAR_WIDTH = 20
# A page with more is no picture any more; the files beside the outputs have all.
MOST_INPUTS = 100
MOST_ROWS = 2000
TOTAL_TITLE = "(all inputs)"


@dataclass(frozen=True, slots=True)
class NodeUse:
    """An estimate of what the nodes were used for.

    Attributes:
        num_nodes: how many the pool has at the end.
        node_seconds: their number times the seconds since the pool was created.
        cost: of these, at the price given; None without one.
    """

    num_nodes: int
    node_seconds: float
    cost: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """A run that ended well.

    Attributes:
        run_id: the flow run's.
        result: what it found.
        phases_s: seconds of each phase, in their order.
        nodes: what they were used for; None if there were none of its own.
    """

    run_id: str
    result: Result
    phases_s: Mapping[str, float]
    nodes: NodeUse | None

    @property
    def elapsed_s(self) -> float:
        """Seconds of all phases together."""
        return sum(self.phases_s.values())


def node_use(num_nodes: int, seconds: float, price_per_hour: float | None) -> NodeUse:
    """Estimate what nodes were used for.

    Args:
        num_nodes: how many.
        seconds: for how long each.
        price_per_hour: of one node; None if it is not known.
    """
    node_seconds = round(num_nodes * seconds, 1)
    cost = None if price_per_hour is None else node_seconds / 3600 * price_per_hour
    return NodeUse(num_nodes, node_seconds, cost)


def bar(part: int, whole: int) -> str:
    """Return a bar of block characters, `BAR_WIDTH` wide if part and whole are equal."""
    eighths = max(1, round(part * BAR_WIDTH * 8 / whole)) if part else 0
    full, rest = divmod(eighths, 8)
    return "█" * full + (BLOCKS[rest - 1] if rest else "")


def table_rows(words: Mapping[str, WordCounts]) -> Iterator[dict[str, str | int]]:
    """Yield one row per input and word; an input without words has one row that says so."""
    for name, counts in words.items():
        for word, count in counts or [("(no words)", 0)]:
            yield {"input": name, "word": word, "count": count}


def output_rows(outputs: Mapping[str, Output]) -> Iterator[dict[str, str | int]]:
    """Yield one row per input of a program of the user's own: its output, bytes, and where."""
    for name, output in outputs.items():
        path = PurePath(output.path)
        yield {"input": name, "output": path.name, "bytes": output.size, "folder": str(path.parent)}


def shown_rows(result: Result) -> list[dict[str, str | int]]:
    """Return the rows for Prefect's UI: of words with bars, the total first; or the outputs.

    At most `MOST_INPUTS` are shown, and of very long lists of words the first `MOST_ROWS` rows.
    """
    if result.outputs:
        return list(islice(output_rows(result.outputs), MOST_INPUTS))
    shown = {name: result.words[name] for name in islice(result.words, MOST_INPUTS)}
    groups = [(TOTAL_TITLE, result.total)] if result.total is not None else []
    rows = (
        {**row, "bar": bar(int(row["count"]), most)}
        for name, counts in [*groups, *shown.items()]
        for most in [max((count for _, count in counts), default=0)]
        for row in table_rows({name: counts})
    )
    return list(islice(rows, MOST_ROWS))


def bounds_told(result: Result) -> str:
    """Return which inputs and words are shown, if not all of them are."""
    num_inputs = result.num_inputs
    told = f"; the first {MOST_INPUTS} of {num_inputs} inputs" if num_inputs > MOST_INPUTS else ""
    is_cut = len(shown_rows(result)) == MOST_ROWS
    return f"{told}; the first {MOST_ROWS} rows" if is_cut else told


def as_markdown(summary: Summary) -> str:
    """Return the summary as markdown, with the words as bars, or the outputs; bounded."""
    result = summary.result
    kind, *header = (
        ("Outputs", "Input", "Output", "Bytes", "Folder")
        if result.outputs
        else ("Words", "Input", "Word", "Count", "")
    )
    lines = [f"# {kind} of {result.num_inputs} input(s){bounds_told(result)}", ""]
    rows = (tuple(row.values()) for row in shown_rows(result))
    lines += table(header, rows)
    lines += ["", "## Time", ""]
    phases = [(name, f"{seconds:.1f}") for name, seconds in summary.phases_s.items()]
    lines += table(("Phase", "Seconds"), [*phases, ("all", f"{summary.elapsed_s:.1f}")])
    if summary.nodes:
        lines += ["", _nodes_told(summary.nodes)]
    return "\n".join([*lines, ""])


def _nodes_told(nodes: NodeUse) -> str:
    cost = "" if nodes.cost is None else f", which cost {nodes.cost:.4g} at the price given"
    return (
        f"Nodes: about {nodes.node_seconds:.0f} node-seconds{cost} (estimate: "
        f"{nodes.num_nodes} node(s), from the pool's creation to the end of the work)."
    )


def write_json(summary: Summary, file: TextIO) -> None:
    """Write all results as JSON, an input a line."""
    result = summary.result
    nodes = None if summary.nodes is None else asdict(summary.nodes)
    head = {
        "run_id": summary.run_id,
        "elapsed_s": round(summary.elapsed_s, 3),
        "phases_s": {name: round(seconds, 3) for name, seconds in summary.phases_s.items()},
        "nodes": nodes,
    }
    if not result.outputs:
        head["total"] = result.total
    fields = [f"{_json(name)}: {_json(value)}" for name, value in head.items()]
    title = "outputs" if result.outputs else "inputs"
    file.write("{\n" + ",\n".join(fields) + f',\n"{title}": {{')
    separator = "\n"
    for name, value in _by_input(result):
        file.write(f"{separator}{_json(name)}: {_json(value)}")
        separator = ",\n"
    file.write("\n}\n}\n")


def _by_input(result: Result) -> Iterator[tuple[str, object]]:
    """Yield what JSON says of each input: its words, or its output."""
    yield from result.words.items()
    for row in output_rows(result.outputs):
        yield str(row.pop("input")), row


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def write_csv(summary: Summary, file: TextIO) -> None:
    """Write all results as CSV; the rows of the total have no input."""
    writer = csv.writer(file)
    if summary.result.outputs:
        writer.writerow(("run_id", "input", "output", "bytes", "folder"))
        rows = output_rows(summary.result.outputs)
        writer.writerows((summary.run_id, *row.values()) for row in rows)
        return
    writer.writerow(("run_id", "input", "word", "count"))
    total = [("", summary.result.total)] if summary.result.total else []
    for name, counts in (*total, *summary.result.words.items()):
        writer.writerows((summary.run_id, name, word, count) for word, count in counts)

"""What a run found and what it took, for people and for programs; pure."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TextIO

from prefect_azure_batch.collecting.markdown import escaped, table
from prefect_azure_batch.model.left_out import LeftOut, left_out_in_words
from prefect_azure_batch.model.result import Cell, ResultTables

# A page with more is not a picture any more; the files beside the outputs have all.
MOST_INPUTS = 100
MOST_ROWS = 2000
MOST_LEFT_OUT = 100
LONGEST_LEFT_OUT = 100_000


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
        left_out: what folders, globs and prefixes stand for and was not worked on.
    """

    run_id: str
    result: ResultTables
    phases_s: Mapping[str, float]
    nodes: NodeUse | None
    left_out: Sequence[LeftOut] = ()

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


def page_rows(result: ResultTables) -> list[Mapping[str, Cell]]:
    """Return the rows for Prefect's UI: of the first inputs, and of very many the first rows."""
    return list(islice(result.page_rows(MOST_INPUTS), MOST_ROWS))


def bounds(result: ResultTables) -> str:
    """Return which inputs and rows are shown, if not all of them are."""
    num_inputs = result.num_inputs
    text = f"; the first {MOST_INPUTS} of {num_inputs} inputs" if num_inputs > MOST_INPUTS else ""
    is_cut = len(page_rows(result)) == MOST_ROWS
    return f"{text}; the first {MOST_ROWS} rows" if is_cut else text


def as_markdown(summary: Summary) -> str:
    """Return the summary as markdown: what was found, how long it took, and what it cost."""
    result = summary.result
    lines = [f"# {result.title} of {result.num_inputs} input(s){bounds(result)}", ""]
    rows = (tuple(row.values()) for row in page_rows(result))
    lines += table(result.page_columns(), rows)
    if summary.left_out:
        text = left_out_in_words(summary.left_out, MOST_LEFT_OUT)
        lines += ["", "## Left out", "", escaped(text, LONGEST_LEFT_OUT)]
    lines += ["", "## Time", ""]
    phases = [(name, f"{seconds:.1f}") for name, seconds in summary.phases_s.items()]
    lines += table(("Phase", "Seconds"), [*phases, ("all", f"{summary.elapsed_s:.1f}")])
    if summary.nodes:
        lines += ["", _nodes(summary.nodes)]
    return "\n".join([*lines, ""])


def _nodes(nodes: NodeUse) -> str:
    cost = "" if nodes.cost is None else f", which cost {nodes.cost:.4g} at the price given"
    return (
        f"Nodes: about {nodes.node_seconds:.0f} node-seconds{cost} (estimate: "
        f"{nodes.num_nodes} node(s), from the pool's creation to the end of the work)."
    )


def write_json(summary: Summary, file: TextIO) -> None:
    """Write all results as JSON, an input a line."""
    result = summary.result
    head = {
        "run_id": summary.run_id,
        "elapsed_s": round(summary.elapsed_s, 3),
        "phases_s": {name: round(seconds, 3) for name, seconds in summary.phases_s.items()},
        "nodes": None if summary.nodes is None else asdict(summary.nodes),
        "left_out": [asdict(item) for item in summary.left_out],
        **result.json_fields(),
    }
    fields = [f"{_json(name)}: {_json(value)}" for name, value in head.items()]
    file.write("{\n" + ",\n".join(fields) + f',\n"{result.json_title}": {{')
    separator = "\n"
    for name, value in result.json_items():
        file.write(f"{separator}{_json(name)}: {_json(value)}")
        separator = ",\n"
    file.write("\n}\n}\n")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def write_csv(summary: Summary, file: TextIO) -> None:
    """Write all results as CSV, each row with the run's id."""
    writer = csv.writer(file)
    writer.writerow(("run_id", *summary.result.csv_columns()))
    writer.writerows((summary.run_id, *row) for row in summary.result.csv_rows())

"""The rooms of the library: each folder and file stands on a floor, and imports only downwards."""

import ast
from collections import defaultdict

import pytest

import prefect_azure_batch
from tests.repo.test_imports import FILES, TREES, imports_of, within

LIBRARY = "prefect_azure_batch"
FLOORS = (
    "credentials settings errors messages paths plain_text",
    "model",
    "service",
    "staging running collecting ownership workloads",
    "engine",
    "clean_up",
    "batch_map batch_map_flow bounded_flow clean_up_hooks first_checks janitor workload_run",
    "command_line",
)
"""From the bottom; folders and the files beside them."""
APART = {"staging", "running", "collecting", "ownership", "workloads"}
"""Rooms of one floor that never import each other: the engine puts them together."""
# What ties code to one kind of work.
FACTS = [
    "num_words",
    "words",
    "WordCounts",
    "WORD_COUNTER",
    "is_bundle",
    "is_own",
    "are_texts",
    "is_text",
    "COUNTING",
]
MODULES = sorted(name for name in FILES if within(name, LIBRARY) and name != LIBRARY)


def room(name: str) -> str:
    """Return the folder of the library, or the file beside the folders, that a module is in."""
    return name.split(".")[1]


def floor(name: str) -> int:
    """Return the floor of a module, 0 at the bottom."""
    found = [number for number, rooms in enumerate(FLOORS) if room(name) in rooms.split()]
    assert found, f"{name} stands on no floor: name its folder in FLOORS, or move it into one"
    return found[0]


def arrows() -> list[tuple[str, str]]:
    """Return who imports whom within the library; what the package exports is not counted."""
    return [
        (name, target)
        for name in MODULES
        for target in imports_of(name)
        if within(target, LIBRARY) and target != LIBRARY
    ]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_stands_on_a_floor(name: str) -> None:
    """A folder or file that nobody has placed is an error."""
    assert floor(name) >= 0


def test_imports_go_down() -> None:
    """No module imports from a floor above its own."""
    assert [f"{a} -> {b}" for a, b in arrows() if floor(b) > floor(a)] == []


def test_rooms_of_one_floor_do_not_know_each_other() -> None:
    """What stages, runs, collects, owns, or is run, is put together by the engine alone."""
    found = [
        f"{a} -> {b}" for a, b in arrows() if room(a) != room(b) and {room(a), room(b)} <= APART
    ]
    assert found == []


def test_folders_say_what_they_are() -> None:
    """The docstring of each folder is one sentence, and nothing else is in its `__init__`."""
    folders = [
        name for name, path in FILES.items() if path.name == "__init__.py" and name in MODULES
    ]

    assert folders
    for name in folders:
        (statement,) = TREES[name].body
        text = ast.get_docstring(TREES[name]) or ""
        assert isinstance(statement, ast.Expr)
        assert text.endswith(".")
        assert text.count(". ") == 0


def test_the_engine_knows_no_workload() -> None:
    """No identifier of one kind of work stands outside `workloads/`."""
    found = [
        f"{name}: {identifier}"
        for name in MODULES
        if room(name) != "workloads"
        for node in ast.walk(TREES[name])
        for identifier in identifiers(node)
        if identifier in FACTS or identifier.startswith("TOP_WORDS_")
    ]
    assert found == []


def identifiers(node: ast.AST) -> list[str]:
    """Return the names that one node of a syntax tree introduces or uses."""
    names = [getattr(node, field, None) for field in ("id", "attr", "arg", "name", "asname")]
    return [name for name in names if isinstance(name, str)]


def test_the_engine_compares_no_program_with_none() -> None:
    """Whether there is a program of one's own is not a question of the engine."""
    found = [
        f"{name}: {ast.unparse(node)}"
        for name in MODULES
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Compare)
        and "program" in ast.unparse(node.left)
        and any(isinstance(side, ast.Constant) and side.value is None for side in node.comparators)
    ]
    assert found == []


def test_flows_import_what_the_library_exports() -> None:
    """The application sees the public names alone, but for what goes, and a script that starts."""
    exported = prefect_azure_batch.__all__
    allowed = {
        f"{LIBRARY}.command_line.janitor",  # flows/janitor.py goes with the next version
        f"{LIBRARY}.janitor",
    }
    found = [
        f"{name} -> {target}"
        for name in FILES
        if within(name, "flows", "blocks")
        for target in imports_of(name)
        if within(target, LIBRARY) and target.rpartition(".")[2] not in (LIBRARY, *exported)
        if not (name in {"flows.janitor", "blocks.__main__"} or target in allowed)
    ]
    assert found == []


def test_every_public_name_is_there() -> None:
    """Each name that the library exports can be imported, and nothing else is public."""
    for name in prefect_azure_batch.__all__:
        assert getattr(prefect_azure_batch, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = prefect_azure_batch.nothing


def test_no_class_name_is_used_twice() -> None:
    """A class of the library, or of the flows, is known by its name alone."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for name in FILES:
        if within(name, LIBRARY, "flows", "blocks"):
            for node in ast.walk(TREES[name]):
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(name)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}

"""The rules of the architecture, read off the source: who imports whom, and who may do what."""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "flows",
    "blocks",
    "prefect_azure_batch",
    "local_azure",
    "tasks_node",
    "benchmarks",
    "tests",
)
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50


def files_of(*packages: str) -> list[Path]:
    """Return the modules of packages."""
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    """Return the dotted name of a module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in files_of(*PACKAGES)}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


def is_conditional(node: ast.AST) -> bool:
    """Return whether a statement is for type checkers, or for a file that is run as a script."""
    conditions = ("TYPE_CHECKING", "__name__ == '__main__'")
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith(conditions)


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Give all nodes of a tree that hold when it is imported."""
    for node in ast.iter_child_nodes(tree):
        if not is_conditional(node):
            yield node
            yield from statements(node)


def imports_of(name: str) -> set[str]:
    """Return what a module imports: modules, and `module.name` where a name may be a module."""
    found: set[str] = set()
    for node in statements(TREES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import"
            module = str(node.module)
            submodules = {f"{module}.{alias.name}" for alias in node.names}
            inner = submodules & FILES.keys()
            found |= inner or {module}
            # Names beside submodules come from the package itself.
            found |= {module} if inner and inner != submodules else set()
    return found


def imported_by(*prefixes: str) -> dict[str, set[str]]:
    """Return the imports of all modules whose names begin so."""
    return {name: imports_of(name) for name in FILES if within(name, *prefixes)}


def within(name: str, *prefixes: str) -> bool:
    """Return whether a module is one of some packages, or in them."""
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def breaches(who: tuple[str, ...], allowed: tuple[str, ...]) -> list[str]:
    """Return the imports of some modules that are neither allowed nor the standard library's."""
    return [
        f"{name} -> {target}"
        for name, targets in imported_by(*who).items()
        for target in sorted(targets)
        if target.partition(".")[0] not in sys.stdlib_module_names and not within(target, *allowed)
    ]


def test_there_is_something_to_check() -> None:
    """The rules below hold of real modules."""
    assert {"flows", "blocks", "prefect_azure_batch", "local_azure.batch"} <= FILES.keys()


def test_there_are_no_cycles() -> None:
    """No module imports itself by way of others."""
    graph = {name: imports_of(name) & FILES.keys() for name in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize(
    ("who", "allowed"),
    [
        (("tasks_node",), ("word_counter",)),
        (("local_azure",), ("local_azure", "starlette", "uvicorn", "cryptography")),
        (("blocks",), ("blocks", "prefect_azure_batch")),
        (
            ("prefect_azure_batch.credentials",),
            ("prefect_azure_batch.credentials", "prefect", "azure", "pydantic", "dotenv"),
        ),
    ],
    ids=lambda value: " ".join(value) or "nothing",
)
def test_what_packages_import(who: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    """Each package keeps to what the design allows it."""
    assert breaches(who, allowed) == []


def test_nobody_imports_tests_benchmarks_or_node_programs() -> None:
    """Node programs are files to the flows, and tests are for themselves."""
    outside = [
        f"{name} -> {target}"
        for name, targets in imported_by(*PACKAGES).items()
        for target in targets
        if within(target, "tests", "benchmarks", "tasks_node")
        and not within(name, target.partition(".")[0], "tests", "benchmarks")
    ]
    assert outside == []


def test_flows_start_local_azure_in_one_place() -> None:
    """Only the command line knows that there is an Azure on the laptop."""
    users = {
        name
        for name, targets in imported_by("flows", "blocks", "prefect_azure_batch").items()
        if any(within(target, "local_azure") for target in targets)
    }
    assert users == {"prefect_azure_batch.command_line.local_services"}


def test_the_library_knows_neither_flows_nor_blocks() -> None:
    """What is general does not import this project's own."""
    assert not [
        f"{name} -> {target}"
        for name, targets in imported_by("prefect_azure_batch").items()
        for target in targets
        if within(target, "flows", "blocks", "tests", "benchmarks", "tasks_node")
    ]


@pytest.mark.parametrize("name", sorted(FILES))
def test_files_are_short(name: str) -> None:
    """No file has more than 400 lines."""
    assert len(FILES[name].read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES


@pytest.mark.parametrize("name", FILES)
def test_functions_are_short(name: str) -> None:
    """No function has more than 50 lines, its docstring left out."""
    long = [
        f"{node.name}: {length}"
        for node in ast.walk(TREES[name])
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (length := length_of(node)) > MAX_FUNCTION_LINES
    ]
    assert long == []


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function without its docstring."""
    first = function.body[0]
    has_text = ast.get_docstring(function) is not None
    text = (first.end_lineno or 0) - first.lineno + 1 if has_text else 0
    return (function.end_lineno or 0) - function.lineno + 1 - text


def test_packages_can_be_found() -> None:
    """Every package of the project is importable by its own name."""
    assert all(
        importlib.util.find_spec(name)
        for name in ("flows", "blocks", "prefect_azure_batch", "local_azure")
    )

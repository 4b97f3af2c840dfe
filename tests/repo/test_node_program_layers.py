"""The rules of the word counter's modules, read off their source: who imports whom."""

import ast
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "tasks_node"
FOLDER = PROGRAMS / "word_counter"
LAYERS = (
    "refusals batches",
    "blocks encodings tokenizer runs storage processes processors",
    "kinds pieces vocabulary arguments upload",
    "counting counts_file",
    "ranges output",
    "texts",
    "blob bundle manifest",
    "many_inputs",
    "main",
)
"""The modules from the bottom: each imports from layers below its own, never from beside it."""
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names.split()}
MODULES = {path.stem: path for path in FOLDER.glob("*.py") if path.stem != "__init__"}
MAX_FILE_LINES = 400


def imports_of(path: Path) -> set[str]:
    """Return all that a module imports, also in functions and for type checkers."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            found.add(str(node.module))
    return found


def siblings_of(name: str) -> set[str]:
    """Return the modules of the word counter that one of them imports."""
    prefix = "word_counter."
    names = imports_of(MODULES[name])
    return {each.removeprefix(prefix) for each in names if each.startswith(prefix)}


def test_every_module_has_a_layer() -> None:
    """The layers name the modules that there are, each once."""
    assert sorted(MODULES) == sorted(" ".join(LAYERS).split())


@pytest.mark.parametrize("name", sorted(MODULES))
def test_modules_import_only_what_is_below_them(name: str) -> None:
    """An import that would point up or sideways belongs elsewhere."""
    assert [each for each in siblings_of(name) if LEVELS[each] >= LEVELS[name]] == []


def test_there_are_no_cycles() -> None:
    """No module imports itself by way of others, not even when it runs."""
    try:
        TopologicalSorter({name: siblings_of(name) for name in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("path", [PROGRAMS / "top_words.py", *MODULES.values()], ids=str)
def test_only_the_standard_library_is_needed(path: Path) -> None:
    """A node has nothing else."""
    allowed = {*sys.stdlib_module_names, "word_counter"}

    assert {each.partition(".")[0] for each in imports_of(path)} <= allowed


def test_the_program_is_short_and_imports_nothing_but_its_beginning() -> None:
    """All that it does is in the modules."""
    program = PROGRAMS / "top_words.py"

    assert len(program.read_text().splitlines()) < 20
    assert imports_of(program) == {"sys", "pathlib", "word_counter.main"}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_files_are_short(name: str) -> None:
    """No module has more than 400 lines."""
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES


@pytest.mark.parametrize("package", ["flows", "blocks", "local_azure", "benchmarks"])
def test_nobody_imports_it(package: str) -> None:
    """It runs on nodes; others know where it is, not what is in it."""
    paths = (ROOT / package).rglob("*.py")

    importers = {path for path in paths if "word_counter" in str(imports_of(path))}
    assert importers == set()

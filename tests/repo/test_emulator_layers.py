"""The rules of the emulator's house, read off its folders: who imports whom, who may do what."""

import ast
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.repo.test_imports import FILES, ROOT, TREES, breaches, imported_by, within

BATCH = "local_azure.batch"
FLOORS = (
    ("server",),
    ("operations", "engine"),
    ("machine", "autoscale"),
    ("calls",),
    ("state",),
    ("controls", "wire"),
)
"""The folders of the emulator from the top; those of one floor do not know each other."""

FLOOR_OF = {folder: number for number, folders in enumerate(FLOORS) for folder in folders}
MODULES = sorted(name for name in FILES if name.startswith(f"{BATCH}."))


def folder_of(name: str) -> str:
    """Return the folder of one of the emulator's modules; nothing for one that lies in none."""
    parts = name.removeprefix(f"{BATCH}.").split(".")
    return parts[0] if len(parts) > 1 or FILES[name].name == "__init__.py" else ""


def all_imports(name: str) -> Iterator[str]:
    """Give the modules that a module imports anywhere, also inside functions and for types."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in FILES else str(node.module)


def arrows() -> Iterator[tuple[str, str]]:
    """Give the imports between the emulator's modules."""
    for name in MODULES:
        yield from ((name, target) for target in all_imports(name) if target in MODULES)


def test_arrows_go_down() -> None:
    """A folder imports from its own modules and from the floors below, never from a neighbour."""
    wrong = [
        f"{name} -> {target}"
        for name, target in arrows()
        if (own := folder_of(name)) and (other := folder_of(target)) and own != other
        if FLOOR_OF[other] <= FLOOR_OF[own]
    ]
    assert wrong == []


def test_there_are_no_cycles() -> None:
    """No module of the emulator imports itself by way of others, not even for a type."""
    graph: dict[str, set[str]] = {name: set() for name in MODULES}
    for name, target in arrows():
        graph[name].add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("folder", FLOOR_OF)
def test_a_folder_is_one_concept(folder: str) -> None:
    """One sentence explains it: that is all that its `__init__` holds."""
    name = f"{BATCH}.{folder}"
    text = ast.get_docstring(TREES[name]) or ""

    assert len(TREES[name].body) == 1
    assert text.endswith(".")
    assert ". " not in text


def test_class_names_are_unique() -> None:
    """No name stands for two classes of the distribution."""
    names = Counter(
        node.name
        for name in FILES
        if within(name, "local_azure")
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, number in names.items() if number > 1] == []


def test_only_the_server_knows_http() -> None:
    """All other folders see calls and replies."""
    users = {
        folder_of(name)
        for name, targets in imported_by(BATCH).items()
        if any(within(target, "starlette", "uvicorn") for target in targets)
    }
    assert users == {"server"}


def test_local_azure_does_not_know_the_sdk() -> None:
    """The emulator speaks the wire; cryptography is for TLS only."""
    assert breaches(("local_azure",), ("local_azure", "starlette", "uvicorn", "cryptography")) == []
    users = {
        n for n, t in imported_by("local_azure").items() if any("cryptography" in x for x in t)
    }
    assert users == {"local_azure.batch.server.tls"}


def calls_in(name: str) -> set[str]:
    """Return what is called in a module, as written."""
    return {ast.unparse(node.func) for node in ast.walk(TREES[name]) if isinstance(node, ast.Call)}


CAPABILITIES = {
    "processes": (
        (
            "subprocess.Popen",
            "subprocess.run",
            "asyncio.create_subprocess_exec",
            "os.fork",
            "subprocess.check_output",
            "asyncio.create_subprocess_shell",
            "os.execv",
            "os.execvp",
        ),
        {
            "local_azure.azurite",
            "local_azure.warden",
            "local_azure.guard",
            "local_azure.batch.machine.runner",
        },
    ),
    "sockets": (("socket.create_server", "uvicorn.Server"), {"local_azure.batch.server.app"}),
    "HTTP": (
        (
            "urllib.request.urlopen",
            "urllib.request.build_opener",
            "http.client.HTTPConnection",
            "urllib.request.Request",
        ),
        {"local_azure.batch.machine.transfer", "local_azure.client", "local_azure.stack"},
    ),
}
"""Who of the laptop's Azure may start processes, listen, and ask other servers."""


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_who_may_do_what(capability: str) -> None:
    """Nobody else does."""
    functions, allowed = CAPABILITIES[capability]
    others = {
        name
        for name in FILES
        if within(name, "local_azure") and name not in allowed and calls_in(name) & {*functions}
    }
    assert others == set()


def test_every_file_is_in_a_folder() -> None:
    """Only the package itself and its command stand outside, and no folder lies in another."""
    root = ROOT / "local_azure/batch"
    files = [path.relative_to(root).parts for path in root.rglob("*.py")]
    outside = [parts for parts in files if len(parts) == 1]

    assert sorted(outside) == [("__init__.py",), ("__main__.py",)]
    assert {parts[0] for parts in files if len(parts) > 1} == FLOOR_OF.keys()
    assert all(len(parts) <= 2 for parts in files)

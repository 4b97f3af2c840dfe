"""`--local` has a Prefect of its own: the user's neither breaks it nor is changed."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from prefect_azure_batch.command_line.own_prefect import first_start
from tests.pipeline.command_line.test_command_line import SAMPLE, SCRIPT, run
from tests.support.clone import make_clone
from tests.support.http_server import QuietHandler, serving
from tests.support.processes import Marked

NOBODY = "http://127.0.0.1:9/api"
BAD_PROFILES = f"""
active = "mine"
[profiles.mine]
PREFECT_API_URL = "{NOBODY}"
PREFECT_API_KEY = "key"
"""
NO_URL = 'active = "mine"\n[profiles.mine]\nPREFECT_SERVER_EPHEMERAL_ENABLED = "false"\n'
BAD_VARIABLES = {
    "PREFECT_PROFILE": "none-of-that-name",
    "PREFECT_HOME": "/proc/nothing",
    "PREFECT_API_DATABASE_CONNECTION_URL": "postgresql+asyncpg://nobody@127.0.0.1:9/none",
    "PREFECT_API_KEY": "key",
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    "PREFECT_LOGGING_LEVEL": "nonsense",
    "PREFECT_TEST_MODE": "perhaps",
    "prefect_server_api_port": "none",
    "UVICORN_PORT": "none",
}
REVISION = "INSERT INTO alembic_version VALUES ('of-another-version')"
# Row by row, what a machine has: files of the home, files of the working directory, variables.
MACHINES: dict[str, tuple[dict[str, str], dict[str, str], dict[str, str]]] = {
    "nothing": ({}, {}, {}),
    "profile without URL": ({".prefect/profiles.toml": NO_URL}, {}, {}),
    "profile of a lost server": ({".prefect/profiles.toml": BAD_PROFILES}, {}, {}),
    "profiles are broken": ({".prefect/profiles.toml": "= ["}, {}, {}),
    "home is a file": ({".prefect": ""}, {}, {}),
    "variables": ({}, {}, BAD_VARIABLES),
    "lower-case variable": ({}, {}, {"prefect_api_database_connection_url": "nonsense"}),
    "prefect.toml": ({}, {"prefect.toml": f'[api]\nurl = "{NOBODY}"\n'}, {}),
    "prefect.toml is broken": ({}, {"prefect.toml": "= ["}, {}),
    "pyproject.toml": ({}, {"pyproject.toml": f'[tool.prefect.api]\nurl = "{NOBODY}"\n'}, {}),
    "pyproject.toml is broken": ({}, {"pyproject.toml": "= ["}, {}),
    ".env": ({}, {".env": f"PREFECT_API_URL={NOBODY}\nPREFECT_PROFILES_PATH=nothing\n"}, {}),
    "no HOME": ({}, {}, {"HOME": ""}),
    "HOME does not exist": ({}, {}, {"HOME": "/nonexistent"}),
    "HOME cannot be written to": ({}, {}, {"HOME": "/proc"}),
    "SOCKS proxy": ({}, {}, {"ALL_PROXY": "socks5h://127.0.0.1:9"}),
    "proxy of no known kind": ({}, {}, {"http_proxy": "proxy://127.0.0.1:9"}),
    "empty PREFECT_API_URL": ({}, {}, {"PREFECT_API_URL": ""}),
}
ALWAYS = ("HOME cannot be written to",)


def environment_of(home: Path, cache: Path, **more: str) -> dict[str, str]:
    """Return the environment of a user; the cache may be shared, for it is made only once then."""
    for name in ("home", "temporary"):
        (home.parent / name).mkdir(exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(home.parent / "temporary"),
        "XDG_CACHE_HOME": str(cache),
        **more,
    }


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write files into a folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def content_of(folder: Path) -> dict[Path, tuple[bytes, int]]:
    """Return all files below a folder: what is in them, and when they were written."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


def make_database(path: Path) -> None:
    """Make a database that a Prefect of another version has left."""
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute(REVISION)
    database.close()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache folder of several runs, one after the other."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of a user."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def test_make_run_touches_nobodys_prefect(tmp_path: Path, home: Path, marked: Marked) -> None:
    """`make run` needs no home, profile, server or variable of the user's, and changes none."""
    write(home, {".prefect/profiles.toml": BAD_PROFILES})
    make_database(home / ".prefect/prefect.db")
    clone = make_clone(tmp_path / "clone")
    write(clone, {"prefect.toml": "= ["})
    (clone / ".env").write_text("PREFECT_API_URL=nonsense", "utf-16")
    before = content_of(home)
    mark = {marked.VARIABLE: os.environ[marked.VARIABLE]}
    variables = BAD_VARIABLES | mark | {"PREFECT_API_URL": NOBODY}
    environment = environment_of(home, tmp_path / "cache", **variables)

    done = subprocess.run(
        ["make", "run"],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "│ taskdata1.txt │ the   │ 44    │" in done.stdout
    assert f"Prefect has a home of its own here, {tmp_path / 'cache'}" in done.stderr
    assert content_of(home) == before
    assert marked.none()


@pytest.mark.parametrize(
    "machine",
    [
        name if name in ALWAYS else pytest.param(name, marks=pytest.mark.machines)
        for name in MACHINES
    ],
)
def test_local_run_on_any_machine(machine: str, home: Path, cache: Path, tmp_path: Path) -> None:
    """Whatever a machine has, `--local` gives its answer, and the home stays as it was."""
    files, settings, variables = MACHINES[machine]
    work = tmp_path / "work"
    write(home, files)
    write(work, settings)
    before = content_of(home)
    work.mkdir(exist_ok=True)
    environment = environment_of(home, cache) | variables
    if variables.get("HOME"):
        del environment["XDG_CACHE_HOME"]
    if not environment["HOME"]:
        del environment["HOME"]

    done = run(work, SCRIPT, "--local", "--plan", SAMPLE, environment=environment)

    assert done.returncode == 0, done.stderr
    assert "standard_d2s_v5" in done.stdout
    assert content_of(home) == before
    if "XDG_CACHE_HOME" not in environment:
        assert str(tmp_path / "temporary") in done.stderr
        assert "cannot be written to" in done.stderr


@pytest.mark.machines
def test_two_first_runs_at_once(home: Path, tmp_path: Path) -> None:
    """Two runs that find no home yet make it once, and both give their answer."""
    environment = environment_of(home, tmp_path / "new")
    command = [sys.executable, SCRIPT, "--local", "--plan", SAMPLE]

    runs = [
        subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for _ in range(2)
    ]

    printed = [one.communicate(timeout=240)[0].decode() for one in runs]
    assert [one.returncode for one in runs] == [0, 0], printed


def test_server_of_the_environment_does_not_answer(home: Path, cache: Path, tmp_path: Path) -> None:
    """`--local` with a server that is not there fails with one error, which names the variable."""
    environment = environment_of(home, cache, PREFECT_API_URL=NOBODY)

    done = run(tmp_path, SCRIPT, "--local", SAMPLE, environment=environment)

    assert done.returncode == 1
    assert done.stderr.count("error:") == 1
    assert f"error: PREFECT_API_URL is {NOBODY}, and no Prefect server answers there" in done.stderr
    assert "Traceback" not in done.stderr


class Page(QuietHandler):
    """Answers whatever it is asked with a page, as Prefect's pages do."""

    def do_GET(self) -> None:  # noqa: N802 - the name is http.server's
        """Answer with a page."""
        content = b"<!doctype html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.mark.machines
def test_page_instead_of_the_api(home: Path, cache: Path, tmp_path: Path) -> None:
    """A URL of Prefect's pages, where /api was forgotten, is an error that says so."""
    with serving(Page) as url:
        environment = environment_of(home, cache, PREFECT_API_URL=url)
        done = run(tmp_path, SCRIPT, "--local", SAMPLE, environment=environment)

    assert done.returncode == 1
    assert "ends in /api" in done.stderr


def test_first_start_that_was_killed_is_begun_again(tmp_path: Path) -> None:
    """A database that no server has finished is deleted; one that was finished stays."""
    database = tmp_path / "prefect.db"
    database.write_text("half")
    with first_start(tmp_path):
        assert not database.exists()
        database.write_text("whole")

    with first_start(tmp_path):
        assert database.read_text() == "whole"

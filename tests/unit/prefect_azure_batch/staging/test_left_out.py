"""What folders and globs stand for and no run works on: one rule, and nothing without a word."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from flows.word_count.workload import WordCount
from prefect_azure_batch.errors import BadInput
from prefect_azure_batch.model.left_out import LeftOut, left_out_in_words
from prefect_azure_batch.model.output_record import record_outputs
from prefect_azure_batch.staging.local_inputs import Search, find_inputs
from prefect_azure_batch.workloads.python_program import PythonProgram

WORD_COUNT = WordCount()
NOBODY = 65534


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a text, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("text")
    return tmp_path


def found(*patterns: str, output_dir: str | None = None) -> tuple[list[str], dict[str, str]]:
    """Return the inputs, and what was left out with its reason."""
    search = Search(output_dir=None if output_dir is None else Path(output_dir))
    inputs = find_inputs(WORD_COUNT, patterns, search)
    return [source.name for source in inputs], {
        item.source: item.reason for item in inputs.left_out
    }


@pytest.mark.parametrize("pattern", ["in", "in/*", "in/**", "**/*"])
def test_one_rule_for_folder_and_glob(folder: Path, pattern: str) -> None:
    """What cannot be counted is left out, whatever it is and however it was found."""
    (folder / "in" / "p.png").write_bytes(b"\x89PNG\0")
    (folder / "in" / "u.txt").write_text("text", "utf-16")
    (folder / "in" / "dangling").symlink_to("nowhere")
    (folder / "in" / "itself").symlink_to("itself")
    os.mkfifo(folder / "in" / "fifo")

    names, left_out = found(pattern)

    assert [Path(name).name for name in names] == ["a.txt"]
    assert {Path(source).name: reason.partition(":")[0] for source, reason in left_out.items()} == {
        "p.png": "is binary (a PNG image)",
        "u.txt": "is UTF-16 text, by its byte order mark",
        "dangling": "is a link that leads to no file",
        "itself": "is a link that leads to no file",
        "fifo": "is not a regular file",
    }


@pytest.mark.parametrize("name", ["p.png", "dangling", "itself", "fifo"])
def test_named_by_itself_it_is_an_error(folder: Path, name: str) -> None:
    """Who names a file wants it, so that it is refused by name."""
    (folder / "in" / "p.png").write_bytes(b"\x89PNG\0")
    (folder / "in" / "dangling").symlink_to("nowhere")
    (folder / "in" / "itself").symlink_to("itself")
    os.mkfifo(folder / "in" / "fifo")

    with pytest.raises(BadInput, match=f"^input 'in/{name}' is "):
        found("in", f"in/{name}")


@pytest.mark.parametrize("pattern", ["in", "in/*"])
def test_folders_are_left_out_by_name(folder: Path, pattern: str) -> None:
    """A folder in a folder is not gone down into, and that is said."""
    (folder / "in" / "deep").mkdir()

    assert found(pattern) == (
        ["a.txt"],
        {"in/deep": "is a folder: give a glob with ** to go down into folders"},
    )


def test_nothing_but_what_is_left_out(folder: Path) -> None:
    """If nothing is left, the error says what there was and why it was not taken."""
    (folder / "in" / "a.txt").write_bytes(b"\0")

    with pytest.raises(BadInput, match=r"holds no text file; left out, 1: 'in/a\.txt' is binary"):
        found("in")
    with pytest.raises(BadInput, match=r"matches no text file; left out, 1: 'in/a\.txt' is binary"):
        found("in/*")


def test_links_that_loop(folder: Path) -> None:
    """A link to a folder that it is in is said; other links are followed, and nothing is twice."""
    (folder / "in" / "up").symlink_to(folder)
    (folder / "in" / "here").symlink_to(".")
    (folder / "else").mkdir()
    (folder / "else" / "b.txt").write_text("text")
    (folder / "in" / "other").symlink_to(folder / "else")
    (folder / "else" / "back").symlink_to(folder / "in")

    names, left_out = found("in/**/*.txt")

    assert names == ["a.txt", "other/b.txt"]
    assert left_out == dict.fromkeys(
        ("in/here", "in/up", "in/other/back"), "is a link to a folder that it is in"
    )


@contextmanager
def as_nobody(*locked: Path) -> Iterator[None]:
    """Lock folders, and be somebody whom that stops: it does not stop root."""
    user = os.geteuid()
    for path in locked:
        path.chmod(0)
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        for path in locked:
            path.chmod(0o700)


@pytest.mark.parametrize("pattern", ["in/**/*.txt", "in/*/*.txt", "in/*", "in"])
def test_folder_without_permission(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be looked into, itself or by a link, is said; the rest is counted."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        monkeypatch.chdir(folder)
        for path in ("in/deep", "locked/inside", "in/mine"):
            (folder / path).mkdir(parents=True)
        for path in ("in/a.txt", "in/deep/b.txt"):
            (folder / path).write_text("text")
        (folder / "in" / "link").symlink_to(folder / "locked" / "inside")

        with as_nobody(folder / "locked", folder / "in" / "mine"):
            names, left_out = found(pattern)

    assert names in (["a.txt", "deep/b.txt"], ["deep/b.txt"], ["a.txt"])
    assert {"in/link", "in/mine"} <= left_out.keys()
    assert "Permission denied" in left_out["in/link"]


def test_deep_folders(folder: Path) -> None:
    """A path that no blob can have is left out by name, and no depth is too much."""
    path = folder / "in"
    for _ in range(251):
        path /= "d"
    path.mkdir(parents=True)
    (path / "b.txt").write_text("text")

    names, left_out = found("in/**/*.txt")

    assert names == ["a.txt"]
    assert list(left_out.values()) == ["is in 251 folders below its own, 250 at most"]


def leave_results(folder: Path, *names: str) -> None:
    """Leave outputs as a run leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    record_outputs(folder, names)
    for name in (*names, "results.json", "logs/task0/stderr.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("text")


@pytest.mark.parametrize("output_dir", ["results", "in/results", "another"])
def test_results_below_are_no_inputs(folder: Path, output_dir: str) -> None:
    """What a run wrote into an output folder within the inputs is left out, this run's or not."""
    for name in ("results", "in/results"):
        leave_results(folder / name, "d/a_OUTPUT.txt", "total.txt")

    names, left_out = found("**/*.txt", output_dir=output_dir)

    assert names == ["in/a.txt"]
    assert {Path(source).name for source in left_out} == {
        *("a_OUTPUT.txt", "total.txt", "stderr.txt"),
    }


@pytest.mark.parametrize("pattern", ["in", "in/**", "in/*"])
def test_results_beside_inputs_are_no_inputs(folder: Path, pattern: str) -> None:
    """In an output folder that is the inputs' folder only what runs wrote is left out."""
    leave_results(folder / "in", "a_OUTPUT.txt", "total.txt")

    for output_dir in ("in", "another"):
        names, left_out = found(pattern, output_dir=output_dir)

        assert names == ["a.txt"]
        assert {"in/a_OUTPUT.txt", "in/total.txt", "in/results.json"} <= left_out.keys()


def test_anything_in_the_output_folder_below_is_no_input(folder: Path) -> None:
    """The output folder of this run is none of its inputs, whoever wrote what is there."""
    (folder / "in" / "results").mkdir()
    (folder / "in" / "results" / "note.txt").write_text("text")

    assert found("in/**/*.txt", output_dir="in/results") == (
        ["a.txt"],
        {"in/results/note.txt": "is in the output folder of this run"},
    )


def test_results_of_another_run_alone_are_inputs(folder: Path) -> None:
    """One run may work on what another has made, if it is asked for that and nothing else."""
    leave_results(folder / "first", "a_OUTPUT.txt", "d/b_OUTPUT.txt")

    names, _ = found("first/**/*_OUTPUT.txt", output_dir="second")
    assert names == ["a_OUTPUT.txt", "d/b_OUTPUT.txt"]
    assert found("first", output_dir="second")[0] == ["a_OUTPUT.txt"]
    assert found("first/a_OUTPUT.txt", output_dir="second")[0] == ["a_OUTPUT.txt"]


@pytest.mark.parametrize("name", ["a_OUTPUT.txt", "results.json", "logs/task0/stderr.txt"])
def test_own_result_by_name_is_an_error(folder: Path, name: str) -> None:
    """A shell's glob names files: those in this run's own output folder are refused."""
    leave_results(folder / "results", "a_OUTPUT.txt")

    with pytest.raises(BadInput, match=r"was written by a run .* give another output_dir"):
        found("in/a.txt", f"results/{name}", output_dir="results")


def test_outputs_without_a_record(folder: Path) -> None:
    """What bears the name of another input's output is left out, and can be named by itself."""
    for name in ("a_OUTPUT.txt", "a_OUTPUT_OUTPUT.txt", "b_OUTPUT.txt", "a_OUTPUT.json"):
        (folder / "in" / name).write_text("text")

    names, left_out = found("in/*")

    assert names == ["a.txt", "b_OUTPUT.txt"]
    assert left_out["in/a_OUTPUT.txt"].startswith("is called like an output of 'a.txt'")
    assert found("in/a_OUTPUT.txt")[0] == ["a_OUTPUT.txt"]


def test_what_was_left_out_in_words() -> None:
    """It is counted, by reasons, with some of the names."""
    items = [LeftOut(f"{number}.png", "is binary") for number in range(1000)]

    words = left_out_in_words([*items, LeftOut("fifo", "is not a regular file")])

    assert words.startswith("1,001: '0.png', '1.png', ")
    assert words.endswith("and 995 more each is binary; 'fifo' is not a regular file")
    assert left_out_in_words([]) == ""


def test_any_file_for_a_program(folder: Path) -> None:
    """A workload that refuses nothing is given what the word counter is not."""
    (folder / "in" / "p.png").write_bytes(b"\x89PNG\0")

    inputs = find_inputs(PythonProgram("p.py"), ["in"])

    assert [source.name for source in inputs] == ["a.txt", "p.png"]
    assert not inputs.left_out

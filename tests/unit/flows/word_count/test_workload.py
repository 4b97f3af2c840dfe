"""The word counter as the engine asks for it: what it takes, and what nodes are given and run."""

import gzip
import io
import json
import shlex
import subprocess
import tarfile
from pathlib import Path
from uuid import UUID

import pytest

from flows.word_count.settings import CountSettings
from flows.word_count.workload import WordCount
from prefect_azure_batch.model.names import unreserved
from prefect_azure_batch.model.run import new_run
from prefect_azure_batch.model.tasks import BlobPlace, InputFile, PlannedTask
from prefect_azure_batch.service.specs import SHARED_FOLDER, shell_command
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings, PoolSettings

RUN = new_run(UUID(int=0xABC), 1, JobSettings(), CleanUpPolicy())
WORD_COUNT = WordCount()
MEBIBYTE = 1024**2
SPLIT = WordCount(settings=CountSettings(split_bytes=MEBIBYTE))
AWKWARD = ["plain.txt", "a b.txt", "it's", '"', "$(touch x)", "`touch x`", "a;b|c>d", "-n", "\\"]
INSTALL = shell_command(WORD_COUNT.set_up(SHARED_FOLDER))
UNPACKED = ["top_words", "top_words/top_words.py", "top_words/word_counter"]
UNPACKED += ["top_words/word_counter/main.py"]


def write_program(folder: Path, script: str) -> None:
    """Write the archive of a word counter of this script, with one module beside it."""
    with tarfile.open(folder / "top_words.tar", "w") as archive:
        for name, text in (("top_words.py", script), ("word_counter/main.py", "")):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))


def on_a_node(folder: Path, command: str, path: str = "") -> subprocess.Popen[bytes]:
    """Start a command line as a node does, in a folder that holds the shared one."""
    (folder / "shared").mkdir(exist_ok=True)
    environment = {
        "AZ_BATCH_NODE_SHARED_DIR": str(folder / "shared"),
        "PATH": f"{path}:/usr/bin:/bin:/usr/local/bin",
    }
    line = shlex.split(command)
    return subprocess.Popen(line, cwd=folder, env=environment, stdout=subprocess.PIPE)


def unpacked(folder: Path) -> list[str]:
    """Return what lies in the shared folder, hidden files included."""
    shared = folder / "shared"
    return sorted(path.relative_to(shared).as_posix() for path in shared.rglob("*"))


@pytest.mark.parametrize("name", AWKWARD)
def test_names_reach_the_program_unchanged(name: str, tmp_path: Path) -> None:
    """Bash hands the input's name to the program as installed, and runs no part of it."""
    write_program(tmp_path, "import json, sys; print(json.dumps(sys.argv[1:]))")
    arguments = (f"--filepath={name}", "--numwords", "3")
    planned = PlannedTask("topNtask0", (name,), arguments, (), (), ())
    printed = b""

    for command in (INSTALL, shell_command(WORD_COUNT.commands(planned, SHARED_FOLDER))):
        with on_a_node(tmp_path, command) as process:
            printed, _ = process.communicate()
        assert process.returncode == 0

    assert json.loads(printed) == [f"--filepath={name}", "--numwords", "3"]
    assert unpacked(tmp_path) == UNPACKED


def test_what_is_unpacked_already_stays(tmp_path: Path) -> None:
    """A start task that runs again, as after a reboot, changes nothing, and leaves nothing."""
    for script in ("first", "second"):
        write_program(tmp_path, script)
        with on_a_node(tmp_path, INSTALL) as process:
            pass
        assert process.returncode == 0

    assert (tmp_path / "shared/top_words/top_words.py").read_text() == "first"
    assert unpacked(tmp_path) == UNPACKED


def test_two_may_unpack_at_once(tmp_path: Path) -> None:
    """Both succeed, and the program is there once, as a whole."""
    write_program(tmp_path, "")
    slow = tmp_path / "bin" / "tar"
    slow.parent.mkdir()
    # Neither continues before both have unpacked.
    slow.write_text(
        '#!/bin/bash\n/usr/bin/env -i PATH=/usr/bin:/bin tar "$@"; touch "ready.$$"\n'
        "until [ $(ls | grep -c ready) = 2 ]; do :; done\n"
    )
    slow.chmod(0o700)

    with (
        on_a_node(tmp_path, INSTALL, str(slow.parent)) as first,
        on_a_node(tmp_path, INSTALL, str(slow.parent)) as second,
    ):
        pass

    assert (first.returncode, second.returncode) == (0, 0)
    assert unpacked(tmp_path) == UNPACKED


def test_an_archive_that_is_damaged_fails_and_is_not_installed(tmp_path: Path) -> None:
    """What cannot be unpacked as a whole does not appear."""
    (tmp_path / "top_words.tar").write_bytes(b"no archive")

    with on_a_node(tmp_path, INSTALL) as process:
        pass

    assert process.returncode != 0
    assert not (tmp_path / "shared/top_words").exists()


@pytest.mark.parametrize(
    ("given", "made"),
    [
        (["bundle0.tar", "Bundle7.jsonl"], ["bundle0-2.tar", "Bundle7-2.jsonl"]),
        (["bundles/bundle0.tar", "a/bundle0.tar"], ["bundles/bundle0-2.tar", "a/bundle0.tar"]),
        (["topNtask3-part12.txt", "topNtask3.txt"], ["topNtask3-part12-2.txt", "topNtask3.txt"]),
        (
            ["topNtask3-merge1-0.txt", "total-1-0.txt"],
            ["topNtask3-merge1-0-2.txt", "total-1-0-2.txt"],
        ),
    ],
)
def test_names_of_batch_tasks_are_reserved(given: list[str], made: list[str]) -> None:
    """No input has the name of what a batch task leaves for others, letter case aside."""
    assert [unreserved(name, WORD_COUNT.is_reserved) for name in given] == made


@pytest.mark.parametrize("head", [b"", b"text", "čas".encode(), gzip.compress(b"text", mtime=0)])
def test_text_is_taken(head: bytes) -> None:
    """Text is counted, compressed or not; no text is text as well."""
    assert WORD_COUNT.refusal(head) == ""


@pytest.mark.parametrize(
    "head",
    [b"P\0\0\0", gzip.compress(b"a\0b", mtime=0), "text".encode("utf-16-be")],
)
def test_binary_files_are_refused(head: bytes) -> None:
    """The reason says what to give instead."""
    assert WORD_COUNT.refusal(head).startswith("is binary (it holds NUL bytes): give UTF-8 text")


def blobs(number: int) -> list[InputFile]:
    """Return small blobs."""
    return [InputFile(f"{n}", 10, blob=BlobPlace("texts", f"{n}")) for n in range(number)]


def test_all_blobs_are_looked_into() -> None:
    """Files of this machine are as well: what is not text is left out wherever it is."""
    assert list(WORD_COUNT.blobs_to_examine(blobs(100))) == blobs(100)


@pytest.mark.parametrize(
    ("size", "md5", "is_whole"), [(9, b"digest", True), (0, b"digest", False), (9, b"", False)]
)
def test_outputs_of_the_program_are_known(size: int, md5: bytes, *, is_whole: bool) -> None:
    """They are never empty, and the program has sent their digests."""
    assert WORD_COUNT.trusts(size, md5) is is_whole


def test_compressed_inputs_that_cannot_be_split_are_named() -> None:
    """The plan says which inputs are counted whole though they are larger than a part."""
    text = InputFile("a.txt", 2 * MEBIBYTE)
    packed = [InputFile(f"{n}.gz", 2 * MEBIBYTE, is_gzip=True) for n in range(3)]

    assert SPLIT.plan_rows([text]) == {}
    assert SPLIT.plan_rows([text, packed[0]]) == {
        "counted whole": "0.gz, cannot be split: compressed"
    }
    assert SPLIT.plan_rows([text, *packed]) == {
        "counted whole": "0.gz and 2 more, cannot be split: compressed"
    }


def test_texts_that_cannot_be_cut_are_named() -> None:
    """The plan says that their encoding is the reason."""
    wide = WordCount(settings=CountSettings(split_bytes=MEBIBYTE, encoding="utf-16"))

    assert wide.plan_rows([InputFile("a.txt", 2 * MEBIBYTE)]) == {
        "counted whole": "a.txt, cannot be split: text in utf-16"
    }


def test_plan_has_levels() -> None:
    """The batch tasks that count come first, then those that add up what they leave."""
    inputs = [InputFile("a.txt", 2 * MEBIBYTE, "a.txt")]

    counting, adding = SPLIT.plan(RUN, inputs, PoolSettings())

    assert [planned.id for planned in counting] == ["topNtask0-part0", "topNtask0-part1"]
    assert [planned.id for planned in adding] == ["topNtask0-merge1-0"]

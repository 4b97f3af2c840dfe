"""The word counter as it is uploaded, and what is found out about it before that."""

import re
from pathlib import Path
from uuid import UUID

import pytest

from flows.word_count import program
from flows.word_count.program import (
    check_accelerator,
    check_program,
    program_digest,
    program_files,
    program_upload,
)
from prefect_azure_batch.errors import ConfigurationError
from prefect_azure_batch.model.run import new_run
from prefect_azure_batch.model.tasks import BlobPlace
from prefect_azure_batch.settings import CleanUpPolicy, JobSettings

X86_64 = b"\x7fELF" + bytes(14) + b"\x3e\x00"
RUN = new_run(UUID(int=0xABC), 1, JobSettings(), CleanUpPolicy())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a small word counter, and of other things."""
    (tmp_path / "word_counter").mkdir()
    for name in ("top_words.py", "word_counter/b.py", "word_counter/a.py", "line_stats.py"):
        (tmp_path / name).write_text("pass")
    (tmp_path / "other.so").touch()
    monkeypatch.setattr(program, "PROGRAMS", tmp_path)
    return tmp_path


def test_the_word_counter_compiles() -> None:
    """The node program of this project is good."""
    check_program()


@pytest.mark.parametrize("name", ["top_words.py", "word_counter/a.py"])
def test_syntax_error_is_reported_with_its_line(folder: Path, name: str) -> None:
    """A program that no Python would run is refused with the line, in each of its modules."""
    (folder / name).write_text("import sys\nprint(]\n")

    with pytest.raises(ConfigurationError, match=rf"does not compile.*{Path(name).name}, line 2"):
        check_program()


def test_null_bytes_are_not_a_program(folder: Path) -> None:
    """A file that is not text is refused as well."""
    (folder / "top_words.py").write_bytes(b"print()\0")

    with pytest.raises(ConfigurationError, match="does not compile"):
        check_program()


def test_warnings_of_a_program_do_not_matter(folder: Path) -> None:
    """What is only doubtful is left to its author."""
    (folder / "top_words.py").write_text("'\\d' is 3\n")

    check_program()


def test_script_that_is_not_there(folder: Path) -> None:
    """A checkout that lacks the word counter is an error that names it."""
    (folder / "top_words.py").unlink()

    with pytest.raises(ConfigurationError, match=re.escape(str(folder / "top_words.py"))):
        check_program()


def test_files_of_the_program(folder: Path) -> None:
    """They are the script, its modules, and the libraries of known machines beside it."""
    (folder / "top_words-x86_64.so").write_bytes(X86_64)
    (folder / "top_words-mips.so").write_bytes(X86_64)

    names = [file.name for file in program_files()]

    assert names == [
        "top_words.py",
        "word_counter/a.py",
        "word_counter/b.py",
        "top_words-x86_64.so",
    ]


@pytest.mark.usefixtures("folder")
def test_program_is_one_archive() -> None:
    """It is one blob of the application container, as large as its files."""
    upload = program_upload(RUN)

    assert upload.place == BlobPlace(RUN.application_container, "top_words.tar")
    assert upload.content == tuple(program_files())
    assert upload.size == 3 * len("pass")


def test_digest_is_of_names_and_content(folder: Path) -> None:
    """Another module, or the same one under another name, makes another digest."""
    digests = [program_digest()]
    (folder / "word_counter/a.py").write_text("...")
    digests.append(program_digest())
    (folder / "word_counter/a.py").rename(folder / "word_counter/c.py")
    digests.append(program_digest())

    assert len(set(digests)) == 3
    assert program_digest() == digests[-1]


def test_digest_is_the_same_without_accelerators(folder: Path) -> None:
    """They make it faster, and find the same words."""
    before = program_digest()
    (folder / "top_words-x86_64.so").write_bytes(X86_64)

    assert program_digest() == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("top_words-x86_64.so", b""),
        ("top_words-x86_64.so", b"#!/bin/sh"),
        ("top_words-aarch64.so", X86_64),
    ],
)
def test_wrong_accelerator(folder: Path, name: str, content: bytes) -> None:
    """A library beside the word counter must be for the machine that it is named after."""
    (folder / name).write_bytes(content)

    with pytest.raises(ConfigurationError, match=f"{name}.*make accelerator"):
        check_program()


def test_right_accelerator(tmp_path: Path) -> None:
    """The machine is in the header of the library."""
    path = tmp_path / "program-x86_64.so"
    path.write_bytes(X86_64)

    check_accelerator(path)

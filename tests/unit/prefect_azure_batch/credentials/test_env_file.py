"""Env files in the encodings in which editors and shells save them."""

from pathlib import Path

import pytest

from prefect_azure_batch.credentials.env_file import check_dot_env, read_env_file

TEXT = "# für\nexport AZURE_BATCH_ACCOUNT='acc'\r\nAZURE_STORAGE_KEY=c2VjcmV0\n"
VALUES = {"AZURE_BATCH_ACCOUNT": "acc", "AZURE_STORAGE_KEY": "c2VjcmV0"}


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (b"\xef\xbb\xbf", "utf-8"),
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
        (b"\xff\xfe\0\0", "utf-32-le"),
        (b"\0\0\xfe\xff", "utf-32-be"),
    ],
)
def test_encoding_is_that_of_its_mark(tmp_path: Path, mark: bytes, encoding: str) -> None:
    """A file with a byte order mark is read by it; without one it is UTF-8."""
    (tmp_path / "env").write_bytes(mark + TEXT.encode(encoding))

    assert read_env_file(tmp_path / "env") == VALUES


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le", "utf-16-be"])
def test_file_that_is_not_text_is_named(tmp_path: Path, encoding: str) -> None:
    """What cannot be read is an error with its name and without its content."""
    path = tmp_path / "my.env"
    path.write_bytes(TEXT.encode(encoding))

    with pytest.raises(ValueError, match=r"my\.env.*save it as UTF-8") as caught:
        read_env_file(path)

    assert "c2VjcmV0" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("make", [Path.mkdir, lambda _path: None])
def test_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: object) -> None:
    """No file gives no values, and so does a folder: some have their Python in `.env`."""
    assert callable(make)
    make(tmp_path / ".env")
    monkeypatch.chdir(tmp_path)

    check_dot_env()

    assert read_env_file(Path(".env")) == {}


def test_prefect_cannot_read_utf_16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`.env` must be UTF-8, for Prefect reads it when it is imported, and would fail."""
    (tmp_path / ".env").write_text(TEXT, "utf-16")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ValueError, match=r"'\.env' is UTF-16: Prefect reads it, too"):
        check_dot_env()

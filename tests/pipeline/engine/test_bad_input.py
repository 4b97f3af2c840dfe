"""Bad inputs, settings and programs: each a clear error, in good time, and no more left than that.

What is refused before a run begins leaves nothing; a run that fails leaves its containers.
"""

import base64
import os
import socket
import time
import zipfile
from pathlib import Path

import pytest
from prefect.exceptions import ParameterTypeError

from flows.top_words import top_words
from flows.word_count.settings import CountSettings
from prefect_azure_batch.errors import (
    BadInput,
    BatchTasksFailed,
    ConfigurationError,
    JobEnded,
    PoolResizeFailed,
    ServiceError,
    StartTaskFailed,
)
from prefect_azure_batch.settings import PoolSettings

pytestmark = pytest.mark.usefixtures("prefect_harness", "accounts")

refused = pytest.mark.usefixtures("nothing_left")
failed = pytest.mark.usefixtures("only_evidence_left")

WRONG_KEY = base64.b64encode(b"wrong" * 12).decode()


@pytest.fixture
def text(tmp_path: Path) -> str:
    """A good input."""
    (tmp_path / "good.txt").write_text("good good text")
    return str(tmp_path / "good.txt")


def program(tmp_path: Path, source: str) -> CountSettings:
    """Return settings for a program of this source."""
    path = tmp_path / "program.py"
    path.write_text(source)
    return CountSettings(program=str(path), poll_interval_s=0.3, max_task_retry_count=0)


@refused
@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("nothing*.txt", "matches no file"),
        ("empty", "holds no text file"),
        ("binary.bin", "binary"),
        ("late.bin", "binary"),
        ("report.docx", "a Word document"),
        ("paper.txt", "a PDF"),
        ("wide.txt", "UTF-16"),
        ("text.zst", "a zstd file"),
        ("dangling", "a link that leads to no file"),
        ("pipe", "not a regular file"),
    ],
)
def test_bad_input(tmp_path: Path, pattern: str, message: str) -> None:
    """An input that stands for no readable text is named, with the reason."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "picture").write_bytes(b"\0\1")
    (tmp_path / "binary.bin").write_bytes(b"text\0")
    (tmp_path / "late.bin").write_bytes(b"text " * 4000 + b"\0")
    (tmp_path / "paper.txt").write_bytes(b"%PDF-1.4\n1 0 obj\n")
    (tmp_path / "wide.txt").write_bytes("\u4e2d\u6587".encode("utf-16"))
    (tmp_path / "text.zst").write_bytes(b"(\xb5/\xfd\x04\x19abc")
    with zipfile.ZipFile(tmp_path / "report.docx", "w") as document:
        document.writestr("word/document.xml", "<words/>")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(BadInput, match=message) as raised:
        top_words([pattern])

    assert pattern in str(raised.value)


@refused
def test_no_input() -> None:
    """A run without inputs is refused."""
    with pytest.raises(BadInput, match="no input given"):
        top_words([])


@refused
def test_no_words_asked_for(text: str) -> None:
    """Asking for no words is refused before the run starts."""
    with pytest.raises(ParameterTypeError, match="num_words"):
        top_words([text], num_words=0)


@refused
def test_output_folder_not_writable(text: str) -> None:
    """An output folder that cannot be made is an error before anything is created."""
    with pytest.raises(ConfigurationError, match=r"output_dir .* is not writable"):
        top_words([text], output_dir=f"{text}/results")


@refused
def test_program_absent(text: str) -> None:
    """A program that is not a file is an error before anything is created."""
    with pytest.raises(ConfigurationError, match=r"^program .*nowhere\.py' is not a file"):
        top_words([text], job=CountSettings(program="nowhere.py"))


@refused
def test_words_of_another_program(text: str, tmp_path: Path) -> None:
    """A number of words means nothing to a program of the user's own, and is refused."""
    with pytest.raises(ConfigurationError, match=r"num_words=5 is for the word counter only"):
        top_words([text], 5, job=program(tmp_path, ""))


@refused
def test_wrong_batch_key(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong Batch key is reported with the service's code and what to check."""
    monkeypatch.setenv("AZURE_BATCH_ACCESS_KEY", WRONG_KEY)

    with pytest.raises(ServiceError, match=r"AuthenticationFailed.*check account name and key"):
        top_words([text])


@refused
def test_wrong_storage_key(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong storage key is reported with the service's code and what to check."""
    given = dict(
        part.split("=", 1)
        for part in os.environ["AZURE_STORAGE_CONNECTION_STRING"].strip(";").split(";")
    )
    wrong = ";".join(
        f"{name}={value}" for name, value in (given | {"AccountKey": WRONG_KEY}).items()
    )
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", wrong)

    with pytest.raises(ServiceError, match=r"storage account: Auth.*check"):
        top_words([text])


@refused
def test_missing_account(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing variable is named, with how to give it."""
    monkeypatch.delenv("AZURE_BATCH_ACCOUNT")

    with pytest.raises(ConfigurationError, match="AZURE_BATCH_ACCOUNT is not set"):
        top_words([text])


@refused
def test_missing_block(text: str) -> None:
    """A block that was never saved is named, with how to save it."""
    with pytest.raises(ConfigurationError, match="batch-map blocks save nowhere"):
        top_words([text], batch_credentials="nowhere")


@refused
@pytest.mark.parametrize("variable", ["AZURE_BATCH_ENDPOINT", "AZURE_STORAGE_CONNECTION_STRING"])
def test_unreachable_endpoint(text: str, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """An endpoint where nobody listens is an error in well under half a minute."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        value = (
            url
            if "BATCH" in variable
            else f"AccountName=a;AccountKey={WRONG_KEY};BlobEndpoint={url}/a"
        )
        monkeypatch.setenv(variable, value)
        began = time.monotonic()

        with pytest.raises(ServiceError, match=r"could not be reached.*check the endpoint"):
            top_words([text])

    assert time.monotonic() - began < 15


@failed
def test_program_fails(text: str, tmp_path: Path) -> None:
    """A failing program is reported with the input, its exit code and the end of its stderr."""
    job = program(tmp_path, "import sys; sys.stderr.write('first\\nlast words\\n'); sys.exit(3)")

    with pytest.raises(BatchTasksFailed, match=r"good\.txt(.|\n)*exit code 3(.|\n)*last words"):
        top_words([text], job=job)


@failed
def test_one_of_two_fails(text: str, tmp_path: Path) -> None:
    """One failing batch task fails the run; the output of the other is there all the same."""
    (tmp_path / "bad.txt").write_text("bad")
    job = program(
        tmp_path,
        "import pathlib, sys\n"
        "if 'bad' in sys.argv[1]: sys.exit(7)\n"
        "pathlib.Path(sys.argv[2]).write_text('good')\n",
    )

    with pytest.raises(BatchTasksFailed, match=r"^1 batch task\(s\) failed:\ninput 'bad.txt'"):
        top_words([text, str(tmp_path / "bad.txt")], job=job)

    assert (tmp_path / "results" / "good_OUTPUT.txt").is_file()


@failed
def test_program_hangs(text: str, tmp_path: Path) -> None:
    """A program that does not end is killed at its limit and reported as ended by the service."""
    job = program(tmp_path, "import time; time.sleep(600)")
    job = job.model_copy(update={"batch_task_max_wall_clock_time_s": 1})

    with pytest.raises(BatchTasksFailed, match=r"good\.txt.*TaskEnded"):
        top_words([text], job=job)


@failed
def test_job_out_of_time(text: str, tmp_path: Path) -> None:
    """A job that reaches its limit ends the run, with the reason and what was pending."""
    job = program(tmp_path, "import time; time.sleep(600)")
    job = job.model_copy(update={"max_wall_clock_time_s": 2})

    with pytest.raises((JobEnded, BatchTasksFailed), match="task0"):
        top_words([text], job=job)


@failed
def test_program_writes_nothing(text: str, tmp_path: Path) -> None:
    """A program that exits 0 without its output has failed, and the error names the output."""
    with pytest.raises(BatchTasksFailed, match=r"exited 0 without .* output/good_OUTPUT\.txt"):
        top_words([text], job=program(tmp_path, ""))


@failed
def test_start_task_fails(text: str) -> None:
    """A start task that fails on its node ends the wait at once, with its stderr."""
    pool = PoolSettings(start_task_command="echo no such luck >&2; exit 9", start_task_retries=0)

    with pytest.raises(StartTaskFailed, match=r"exit code 9(.|\n)*no such luck"):
        top_words([text], pool=pool)


@failed
def test_pool_cannot_grow(text: str) -> None:
    """A pool whose nodes are beyond the account's cores ends at once, with what to change."""
    with pytest.raises(PoolResizeFailed, match=r"AccountCoreQuotaReached.*pool\.dedicated_nodes"):
        top_words([text], pool=PoolSettings(vm_size="standard_m128s"))


@refused
def test_windows_image(text: str) -> None:
    """A Windows image is refused before anything is created."""
    pool = PoolSettings(
        image_publisher="microsoftwindowsserver",
        image_offer="windowsserver",
        image_sku="2022-datacenter",
    )

    with pytest.raises(ConfigurationError, match="not a Linux image"):
        top_words([text], pool=pool)


@refused
def test_unknown_image(text: str) -> None:
    """An image that the service does not have is refused, with those that it has."""
    with pytest.raises(ConfigurationError, match="canonical:ubuntu-24_04-lts:server"):
        top_words([text], pool=PoolSettings(image_sku="16.04"))

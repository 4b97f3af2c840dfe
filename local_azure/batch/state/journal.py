"""The store on disk: every change goes into SQLite before its request is answered.

It is written in a thread of its own, so that a slow disk, or somebody else's lock on the
database, holds up only requests that have changed something. A read does not wait: for some
milliseconds it may show what is not on the disk yet.

A crash of the process at any moment loses nothing that was acknowledged: a committed transaction
is in the operating system's hands. (A crash of the machine may lose the last ones, never the
database: WAL with synchronous=NORMAL.)
"""

import asyncio
import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local_azure.batch.state import codec
from local_azure.batch.state.records import Record
from local_azure.batch.state.store import Store

_VERSION = 1
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS records (
    noun TEXT NOT NULL,
    key TEXT NOT NULL,
    serial INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (noun, key)
) WITHOUT ROWID;
PRAGMA user_version = {_VERSION};
"""
_PUT = "INSERT OR REPLACE INTO records (noun, key, serial, record) VALUES (?, ?, ?, ?)"
_REMOVE = "DELETE FROM records WHERE noun = ? AND key = ?"
_ALL = "SELECT noun, record FROM records ORDER BY serial"


_Changes = Mapping[tuple[str, str], Record | None]
_RETRY_S = 1.0
_log = logging.getLogger(__name__)


class JournalError(Exception):
    """The database is in use, full, or of another version of this project."""


class Journal:
    """A database that follows a store; needs a running event loop.

    Args:
        path: the database; made if absent, and locked against a second process.

    Raises:
        JournalError: it is in use, or of another version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = path.with_suffix(".lock").open("wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalError(f"{path} is in use by another Batch emulator") from error
        # It holds live SAS: nobody else may read it. SQLite gives its other files the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        # One thread at a time uses it: this one, until the store is followed.
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        version = self._database.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _VERSION):
            text = f"{path} is of version {version}, not {_VERSION}: name another data folder"
            raise JournalError(text)
        self._database.executescript(_SCHEMA)
        self._changed: dict[tuple[str, str], Record | None] = {}
        self._flushes: set[asyncio.Task[None]] = set()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._turn = asyncio.Lock()

    def read(self) -> Iterator[Record]:
        """Return all records, in the order of their creation: parents before their children."""
        return (codec.decode(noun, text) for noun, text in self._database.execute(_ALL))

    def follow(self, store: Store) -> None:
        """Record every change of a store from now on."""
        store.subscribe(self._note)

    def _note(self, old: Record | None, new: Record | None) -> None:
        record = new or old
        if record is None:
            return
        if not self._changed:
            # Nobody asks for a flush after a change by the engine, as a request does.
            asyncio.get_running_loop().call_soon(self._flush_soon)
        self._changed[record.noun, "/".join(record.key)] = new

    def _flush_soon(self) -> None:
        self._begin_flush().add_done_callback(self._try_again_later)

    def _try_again_later(self, done: asyncio.Task[None]) -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            _log.error("the journal was not written: %s", error)
            asyncio.get_running_loop().call_later(_RETRY_S, self._flush_soon)

    async def flush(self) -> None:
        """Wait until what has changed is written; a crash of the process cannot undo it then."""
        if self._changed or self._turn.locked():
            # Whoever waits may be cancelled, what is being written may not.
            await asyncio.shield(self._begin_flush())

    def _begin_flush(self) -> asyncio.Task[None]:
        flush = asyncio.get_running_loop().create_task(self._flush())
        self._flushes.add(flush)
        flush.add_done_callback(self._flushes.discard)
        return flush

    async def _flush(self) -> None:
        async with self._turn:
            changes, self._changed = self._changed, {}
            if not changes:
                return
            loop = asyncio.get_running_loop()
            try:
                await loop.run_in_executor(self._thread, self._write, changes)
            except BaseException:
                self._changed = {**changes, **self._changed}
                raise

    def _write(self, changes: _Changes) -> None:
        # Leaving the block commits; an error rolls back.
        try:
            with self._database:
                self._write_all(changes)
        except sqlite3.OperationalError as error:
            raise JournalError(f"{self._path} could not be written: {error}") from error

    def _write_all(self, changes: _Changes) -> None:
        self._database.execute("BEGIN")
        for (noun, key), record in changes.items():
            if record is None:
                self._database.execute(_REMOVE, (noun, key))
            else:
                row = (noun, key, record.serial, codec.encode(record))
                self._database.execute(_PUT, row)

    async def close(self) -> None:
        """Write what has changed, and close the database and release its lock."""
        await self.flush()
        self._thread.shutdown()
        self._database.close()
        self._lock.close()

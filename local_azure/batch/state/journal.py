"""The store on disk: every change goes into SQLite before its request is answered.

A crash of the process at any moment loses nothing that was acknowledged: a committed transaction
is in the operating system's hands. (A crash of the machine may lose the last ones, never the
database: WAL with synchronous=NORMAL.)
"""

import asyncio
import fcntl
import sqlite3
from collections.abc import Iterator
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
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        version = self._database.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _VERSION):
            text = f"{path} is of version {version}, not {_VERSION}: name another data folder"
            raise JournalError(text)
        self._database.executescript(_SCHEMA)
        self._changed: dict[tuple[str, str], Record | None] = {}

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
            asyncio.get_running_loop().call_soon(self.flush)
        self._changed[record.noun, "/".join(record.key)] = new

    def flush(self) -> None:
        """Write what has changed; when this returns, a crash of the process cannot undo it."""
        if not self._changed:
            return
        # Leaving the block commits; an error rolls back, and the changes are kept for the next try.
        try:
            with self._database:
                self._write_changes()
        except sqlite3.OperationalError as error:
            raise JournalError(f"{self._path} could not be written: {error}") from error
        self._changed.clear()

    def _write_changes(self) -> None:
        self._database.execute("BEGIN")
        for (noun, key), record in self._changed.items():
            if record is None:
                self._database.execute(_REMOVE, (noun, key))
            else:
                row = (noun, key, record.serial, codec.encode(record))
                self._database.execute(_PUT, row)

    def close(self) -> None:
        """Write what has changed, and close the database and release its lock."""
        self.flush()
        self._database.close()
        self._lock.close()

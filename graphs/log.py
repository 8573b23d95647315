"""The durable log of runs and their events, in one SQLite file.

Events are written in batches off the event loop: one row holds what one run said in about 20 ms, as JSON lines whose
sequence numbers count on from `first`. A kill loses at most the batch that was not yet written; a resumed run counts on
from well above it, so that a client who saw the lost events still gets every new one.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from graphs.events import AGENT_EVENT, AgentEvent, Answer, RunFinished
from tools.errors import EngineFailed, NotFound

T = TypeVar("T")

Status = Literal["running", "done", "waiting", "partial", "failed", "cancelled"]

BATCH_SECONDS = 0.02
UNWRITTEN = 20_000
"""Events that may wait for the disk; runs pause above it."""

_log = logging.getLogger(__name__)

_SCHEMA = f"""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA busy_timeout = 5000;
CREATE TABLE IF NOT EXISTS runs (
    run TEXT PRIMARY KEY, tenant TEXT NOT NULL, thread TEXT NOT NULL, graph TEXT NOT NULL, ask TEXT NOT NULL,
    budget TEXT NOT NULL, fork TEXT, status TEXT NOT NULL CHECK (status IN {get_args(Status)}),
    tries INTEGER NOT NULL, created REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS runs_by_thread ON runs (thread, created);
CREATE INDEX IF NOT EXISTS runs_by_tenant ON runs (tenant, created);
CREATE TABLE IF NOT EXISTS events (
    run TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (run, first)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS decisions (
    run TEXT NOT NULL, key TEXT NOT NULL, allowed INTEGER NOT NULL, PRIMARY KEY (run, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (
    run TEXT NOT NULL, call TEXT NOT NULL, output BLOB, PRIMARY KEY (run, call)
) WITHOUT ROWID;
"""

_INSERT = "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?)"


@dataclass(frozen=True)
class Run:
    """One run as the log knows it. `ask` and `budget` are JSON; `fork` is the checkpoint it started from."""

    run: str
    tenant: str
    thread: str
    graph: str
    ask: str
    budget: str
    fork: str | None = None
    status: Status = "running"
    tries: int = 0
    created: float = 0.0


@dataclass(frozen=True)
class Thread:
    """A conversation: when its first and last run began, and the first thing asked."""

    thread: str
    ask: str
    created: float
    updated: float
    runs: int


Numbered = tuple[int, AgentEvent]


class EventLog:
    """One thread writes, one reads; SQLite's write-ahead log lets them work side by side."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="event-log-write")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="event-log-read")
        self._write = sqlite3.connect(path, check_same_thread=False)
        self._write.executescript(_SCHEMA)
        self._read = sqlite3.connect(path, check_same_thread=False)
        self._pending: dict[str, list[Numbered]] = {}
        self._waiting = 0
        self._wake = asyncio.Event()

    def append(self, run: str, seq: int, event: AgentEvent) -> None:
        """Queue an event for the next batch; a run's events come in the order of their numbers."""
        self._pending.setdefault(run, []).append((seq, event))
        self._waiting += 1
        self._wake.set()

    async def room(self) -> None:
        """Wait while too much is unwritten; raises `EngineFailed` when the disk takes nothing for 30 s."""
        for _ in range(600):
            if self._waiting < UNWRITTEN:
                return
            await asyncio.sleep(0.05)
        raise EngineFailed("The event log cannot be written.", remedy="See whether the home folder's disk is full.")

    async def flush(self) -> None:
        """Write what is queued. What cannot be written stays queued for the next try."""
        batch, self._pending = self._pending, {}
        if not batch:
            return
        try:
            await self._on(self._writer, lambda: _write_batch(self._write, batch))
        except BaseException:
            later, self._pending = self._pending, batch
            for run, events in later.items():
                self._pending.setdefault(run, []).extend(events)
            raise
        self._waiting -= sum(map(len, batch.values()))

    async def keep_writing(self) -> None:
        """Flush whenever there is something, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(BATCH_SECONDS)
            try:
                await self.flush()
            except sqlite3.Error as error:
                _log.warning("event log: %s; trying again", error)
                self._wake.set()
                await asyncio.sleep(1)

    async def events(self, run: str, after: int, limit: int = 64) -> list[Numbered]:
        """Written events with higher numbers than `after`, from at most `limit` rows."""
        query = "SELECT first, body FROM events WHERE run = ? AND last > ? ORDER BY first LIMIT ?"
        rows = await self._on(self._reader, lambda: self._read.execute(query, (run, after, limit)).fetchall())
        return [
            (seq, AGENT_EVENT.validate_json(line))
            for first, body in rows
            for seq, line in enumerate(body.split(b"\n"), first)
            if seq > after
        ]

    async def answer(self, run: str) -> Answer | None:
        """What an ended run answered; it stands near its end."""
        rows = await self._fetch("SELECT body FROM events WHERE run = ? ORDER BY first DESC LIMIT 8", run)
        said = (AGENT_EVENT.validate_json(line) for (body,) in rows for line in reversed(body.split(b"\n")))
        return next((event for event in said if isinstance(event, Answer)), None)

    async def last(self, run: str) -> int:
        """The highest written number of a run, 0 when nothing is written."""
        rows = await self._fetch("SELECT coalesce(max(last), 0) FROM events WHERE run = ?", run)
        return int(rows[0][0])

    async def add(self, run: Run) -> None:
        values = (*vars(run).values(),)
        await self._execute(f"INSERT INTO runs VALUES ({', '.join('?' * len(values))})", *values)  # noqa: S608

    async def mark(self, run: str, status: Status, tries: int | None = None) -> None:
        await self._execute("UPDATE runs SET status = ?, tries = coalesce(?, tries) WHERE run = ?", status, tries, run)

    async def finish(self, seq: int, last: RunFinished) -> None:
        """Write a run's last event and its status in one transaction, after everything that is queued."""
        await self.flush()

        def work() -> None:
            with self._write:
                self._write.executemany(_INSERT, _rows(last.run, [(seq, last)]))
                self._write.execute("UPDATE runs SET status = ? WHERE run = ?", (last.status, last.run))

        await self._on(self._writer, work)

    async def decide(self, run: str, decisions: Mapping[str, bool]) -> None:
        """What a person decided of a run's tool calls, by their keys."""
        for key, allowed in decisions.items():
            await self._execute("INSERT OR REPLACE INTO decisions VALUES (?, ?, ?)", run, key, allowed)

    async def decided(self, run: str, key: str) -> bool | None:
        rows = await self._fetch("SELECT allowed FROM decisions WHERE run = ? AND key = ?", run, key)
        return bool(rows[0][0]) if rows else None

    async def begin_call(self, run: str, call: str) -> tuple[bool, bytes | None]:
        """Note that a call with an effect begins, on the disk when this returns; whether it is new, else its output."""

        def work() -> tuple[bool, bytes | None]:
            with self._write:
                new = self._write.execute("INSERT OR IGNORE INTO calls VALUES (?, ?, NULL)", (run, call)).rowcount == 1
            row = self._write.execute("SELECT output FROM calls WHERE run = ? AND call = ?", (run, call)).fetchone()
            return new, row[0]

        return await self._on(self._writer, work)

    async def end_call(self, run: str, call: str, output: bytes | None) -> None:
        """Note what a call gave; one that gave nothing may be made again."""
        if output is None:
            await self._execute("DELETE FROM calls WHERE run = ? AND call = ?", run, call)
        else:
            await self._execute("UPDATE calls SET output = ? WHERE run = ? AND call = ?", output, run, call)

    async def run(self, run: str, tenant: str) -> Run:
        """The run; raises `NotFound` alike for an unknown one and one of another tenant."""
        rows = await self._fetch("SELECT * FROM runs WHERE run = ? AND tenant = ?", run, tenant)
        if not rows:
            raise NotFound(f"There is no run {run!r}.", param="run")
        return Run(*rows[0])

    async def runs(self, thread: str, tenant: str) -> list[Run]:
        """A thread's runs, oldest first."""
        rows = await self._fetch("SELECT * FROM runs WHERE thread = ? AND tenant = ? ORDER BY created", thread, tenant)
        return [Run(*row) for row in rows]

    async def unfinished(self) -> list[Run]:
        """Runs that a stopped host left behind, oldest first."""
        return [Run(*row) for row in await self._fetch("SELECT * FROM runs WHERE status = 'running' ORDER BY created")]

    async def owner(self, thread: str) -> str | None:
        """The tenant whose thread this is, None for a new one."""
        rows = await self._fetch("SELECT tenant FROM runs WHERE thread = ? LIMIT 1", thread)
        return str(rows[0][0]) if rows else None

    async def threads(self, tenant: str, limit: int) -> list[Thread]:
        """A tenant's threads, the latest first."""
        rows = await self._fetch(
            "SELECT thread, ask, min(created), max(created), count(*) FROM runs WHERE tenant = ? "
            "GROUP BY thread ORDER BY max(created) DESC LIMIT ?",
            tenant,
            limit,
        )
        return [Thread(*row) for row in rows]

    async def forget(self, thread: str, tenant: str) -> None:
        """Delete a thread's runs and what they said."""
        runs = "SELECT run FROM runs WHERE thread = ? AND tenant = ?"
        for table in ("events", "decisions", "calls"):
            await self._execute(f"DELETE FROM {table} WHERE run IN ({runs})", thread, tenant)  # noqa: S608
        await self._execute("DELETE FROM runs WHERE thread = ? AND tenant = ?", thread, tenant)

    async def close(self) -> None:
        await self._on(self._writer, self._write.close)
        await self._on(self._reader, self._read.close)
        self._writer.shutdown()
        self._reader.shutdown()

    async def _on(self, thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, work)

    async def _fetch(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        # on the writing connection: these must see what was just written
        return await self._on(self._writer, lambda: self._write.execute(query, values).fetchall())

    async def _execute(self, query: str, *values: object) -> None:
        def work() -> None:
            with self._write:
                self._write.execute(query, values)

        await self._on(self._writer, work)


def _write_batch(connection: sqlite3.Connection, batch: dict[str, list[Numbered]]) -> None:
    rows = [row for run, events in batch.items() for row in _rows(run, events)]
    with connection:
        connection.executemany(_INSERT, rows)


def _rows(run: str, events: Sequence[Numbered]) -> list[tuple[str, int, int, bytes]]:
    body = b"\n".join(event.model_dump_json(exclude_none=True).encode() for _, event in events)
    return [(run, events[0][0], events[-1][0], body)]


@asynccontextmanager
async def open_log(path: Path) -> AsyncIterator[EventLog]:
    """The log at this path, written to while the context is open and flushed at its end."""
    log = await asyncio.to_thread(EventLog, path)
    writing = asyncio.create_task(log.keep_writing())
    try:
        yield log
    finally:
        writing.cancel()
        await asyncio.wait({writing})
        await log.flush()
        await log.close()

"""The checkpoints of all threads, in one SQLite file beside the log of runs.

LangGraph's own saver makes five to six trips to another thread for each step, and a trip costs a third of a
millisecond, because the interpreter lock changes hands twice. Ours keeps its file format and its way to read. What is
written waits a few milliseconds and goes in one transaction and one trip, in its order; every read, and the end of
every run, waits for it. A killed process loses at most that window: its runs go on from the step before.
"""

import asyncio
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from tools.errors import EngineFailed

_CHECKPOINT = """
INSERT OR REPLACE INTO checkpoints
(thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_WRITE = """
INSERT OR {} INTO writes
(thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_REPLACE, _IGNORE = _WRITE.format("REPLACE"), _WRITE.format("IGNORE")
_NAMESPACES = """
SELECT checkpoint_ns FROM checkpoints WHERE thread_id = ?
GROUP BY checkpoint_ns ORDER BY max(checkpoint_id) DESC LIMIT ?
"""

Rows = list[tuple[Any, ...]]


WINDOW = 0.005
"""Seconds that a step may wait for others to be written with it."""

MOST = 1_000
"""Statements that may wait; who brings more waits for the disk."""

_log = logging.getLogger(__name__)


class Writer:
    """One connection in one thread, written to in the order in which things were put."""

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        # 2.4 times faster than FULL; in WAL mode a power cut can lose the last steps but never harm the file
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._waiting: list[tuple[str, Rows]] = []
        self._timer: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[sqlite3.Error | None] | None = None

    async def put(self, statement: str, rows: Rows) -> None:
        """Queue rows to be written within the window."""
        self._waiting.append((statement, rows))
        if len(self._waiting) >= MOST:
            await self.flush()
        elif self._timer is None:
            self._timer = asyncio.create_task(self._later())

    async def flush(self) -> None:
        """Return when all that was put is committed; raises `EngineFailed` when it cannot be, and keeps it."""
        while self._waiting or self._writing is not None:
            if self._writing is None:
                self._writing = asyncio.create_task(self._write())
            # who waits may leave, the transaction goes on
            failed = await asyncio.shield(self._writing)
            if failed is not None:
                raise EngineFailed(
                    f"The checkpoints cannot be written: {failed}.",
                    remedy="See whether the home folder's disk is full.",
                )

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self.flush()
        finally:
            self._thread.shutdown()
            await asyncio.to_thread(self._connection.close)

    async def _later(self) -> None:
        await asyncio.sleep(WINDOW)
        self._timer = None
        try:
            await self.flush()
        except EngineFailed as error:
            # whoever reads, ends or brings too much is told; what waits is tried again with the next
            _log.warning("%s", error)

    async def _write(self) -> sqlite3.Error | None:
        batch, self._waiting = self._waiting, []
        try:
            failed = await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, batch)
        finally:
            self._writing = None
        if failed is not None:
            self._waiting = batch + self._waiting
        return failed

    def _commit(self, batch: list[tuple[str, Rows]]) -> sqlite3.Error | None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for statement, rows in batch:
                self._connection.executemany(statement, rows)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            return error
        return None


class Checkpoints(AsyncSqliteSaver):
    """LangGraph's saver with another way to write, and what it does not tell."""

    def __init__(self, connection: aiosqlite.Connection, writer: Writer) -> None:
        super().__init__(connection)
        self._writer = writer

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        place = config["configurable"]
        kind, body = self.serde.dumps_typed(checkpoint)
        told = json.dumps(get_checkpoint_metadata(config, metadata), ensure_ascii=False).encode("utf-8", "ignore")
        thread, namespace = str(place["thread_id"]), place["checkpoint_ns"]
        row = (thread, namespace, checkpoint["id"], place.get("checkpoint_id"), kind, body, told)
        await self._writer.put(_CHECKPOINT, [row])
        return {
            "configurable": {
                "thread_id": place["thread_id"],
                "checkpoint_ns": namespace,
                "checkpoint_id": checkpoint["id"],
            }
        }

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        place = config["configurable"]
        key = str(place["thread_id"]), str(place["checkpoint_ns"]), str(place["checkpoint_id"]), task_id, task_path
        rows: Rows = [
            (*key, WRITES_IDX_MAP.get(channel, index), channel, *self.serde.dumps_typed(value))
            for index, (channel, value) in enumerate(writes)
        ]
        await self._writer.put(_REPLACE if all(channel in WRITES_IDX_MAP for channel, _ in writes) else _IGNORE, rows)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        await self.flush()
        return await super().aget_tuple(config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        await self.flush()
        async for each in super().alist(config, filter=filter, before=before, limit=limit):
            yield each

    async def flush(self) -> None:
        """Return when all that was put is on the disk."""
        await self._writer.flush()

    async def adelete_thread(self, thread_id: str) -> None:
        await self._writer.put("DELETE FROM checkpoints WHERE thread_id = ?", [(thread_id,)])
        await self._writer.put("DELETE FROM writes WHERE thread_id = ?", [(thread_id,)])
        await self.flush()

    async def namespaces(self, thread: str, limit: int) -> list[str]:
        """The graphs that a thread ran, the main one as an empty name, sub-graphs as `node:task`; the latest first."""
        await self.flush()
        async with self.lock, self.conn.execute(_NAMESPACES, (thread, limit)) as rows:
            return [str(row[0]) for row in await rows.fetchall()]

    async def lift(self, thread: str, checkpoint: str, to: str) -> None:
        """Copy a sub-graph's checkpoint to where a run of this graph alone finds it."""
        columns = "checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata"
        statement = (
            f"INSERT OR REPLACE INTO checkpoints (thread_id, checkpoint_ns, {columns}) "  # noqa: S608
            f"SELECT ?, '', {columns} FROM checkpoints WHERE thread_id = ? AND checkpoint_id = ?"
        )
        await self._writer.put(statement, [(to, thread, checkpoint)])
        await self.flush()


@asynccontextmanager
async def open_checkpoints(path: Path) -> AsyncIterator[Checkpoints]:
    """The checkpoints at this path."""
    await asyncio.to_thread(path.touch, 0o600)
    async with aiosqlite.connect(path) as connection:
        writer = await asyncio.to_thread(Writer, path)
        try:
            saver = Checkpoints(connection, writer)
            await saver.setup()
            yield saver
        finally:
            await writer.close()

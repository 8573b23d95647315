"""The checkpoints of all threads, in one SQLite file beside the log of runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

_NAMESPACES = """
SELECT checkpoint_ns FROM checkpoints WHERE thread_id = ?
GROUP BY checkpoint_ns ORDER BY max(checkpoint_id) DESC LIMIT ?
"""


class Checkpoints(AsyncSqliteSaver):
    """LangGraph's own saver, and what it does not tell."""

    async def namespaces(self, thread: str, limit: int) -> list[str]:
        """The graphs that a thread ran, the main one as an empty name, sub-graphs as `node:task`; the latest first."""
        async with self.lock, self.conn.execute(_NAMESPACES, (thread, limit)) as rows:
            return [str(row[0]) for row in await rows.fetchall()]

    async def lift(self, thread: str, checkpoint: str, to: str) -> None:
        """Copy a sub-graph's checkpoint to where a run of this graph alone finds it."""
        columns = "checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata"
        async with self.lock:
            await self.conn.execute(
                f"INSERT OR REPLACE INTO checkpoints (thread_id, checkpoint_ns, {columns}) "  # noqa: S608
                f"SELECT ?, '', {columns} FROM checkpoints WHERE thread_id = ? AND checkpoint_id = ?",
                (to, thread, checkpoint),
            )
            await self.conn.commit()


@asynccontextmanager
async def open_checkpoints(path: Path) -> AsyncIterator[Checkpoints]:
    """The checkpoints at this path."""
    await asyncio.to_thread(path.touch, 0o600)
    async with aiosqlite.connect(path) as connection:
        saver = Checkpoints(connection)
        await saver.setup()
        # 2.4 times faster than FULL; in WAL mode a power cut can lose the last steps but never harm the file
        await connection.execute("PRAGMA synchronous = NORMAL")
        yield saver

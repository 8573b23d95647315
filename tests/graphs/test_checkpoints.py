"""Checkpoints are written together, in order, before anybody needs them, and survive a kill."""

import asyncio
import sqlite3
import sys
import textwrap
from pathlib import Path
from typing import Any

import anyio
import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from graphs.checkpoints import WINDOW, Checkpoints, open_checkpoints
from tests.graphs.conftest import ending, heard, parrots
from tools.bench import Bench
from tools.errors import EngineFailed

pytestmark = pytest.mark.anyio


def place(thread: str, checkpoint: str | None = None, namespace: str = "") -> Any:
    found = {"thread_id": thread, "checkpoint_ns": namespace}
    return {"configurable": found if checkpoint is None else {**found, "checkpoint_id": checkpoint}}


async def put(saver: Checkpoints, thread: str, number: int) -> Any:
    checkpoint = {**empty_checkpoint(), "id": f"{number:08d}"}
    config = await saver.aput(place(thread), checkpoint, {"source": "loop", "step": number}, {})  # type: ignore[arg-type]
    await saver.aput_writes(config, [("seen", number), ("__resume__", "yes")], f"task-{number}")
    return config


async def put_many(saver: Checkpoints, numbers: range) -> None:
    for number in numbers:
        await put(saver, "t", number)


async def test_what_was_put_is_read_at_once_and_in_order(tmp_path: Path) -> None:
    async with open_checkpoints(tmp_path / "a.sqlite") as saver:
        for number in range(50):
            await put(saver, "t", number)
        newest = await saver.aget_tuple(place("t"))
        assert newest is not None
        assert newest.checkpoint["id"] == "00000049"
        assert newest.pending_writes == [("task-49", "__resume__", "yes"), ("task-49", "seen", 49)]
        assert [each.metadata["step"] async for each in saver.alist(place("t"), limit=3)] == [49, 48, 47]
        await saver.adelete_thread("t")
        assert await saver.aget_tuple(place("t")) is None


async def test_langgraphs_own_saver_reads_the_file(tmp_path: Path) -> None:
    async with open_checkpoints(tmp_path / "a.sqlite") as saver:
        await put(saver, "t", 1)
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "a.sqlite")) as plain:
        found = await plain.aget_tuple(place("t"))
    assert found is not None
    assert (found.checkpoint["id"], found.metadata["step"], len(found.pending_writes or [])) == ("00000001", 1, 2)


async def test_many_runs_share_a_transaction(tmp_path: Path) -> None:
    async with open_checkpoints(tmp_path / "a.sqlite") as saver:
        commits = 0
        commit = saver._writer._commit

        def counted(batch: Any) -> Any:
            nonlocal commits
            commits += 1
            return commit(batch)

        saver._writer._commit = counted  # type: ignore[method-assign]
        await asyncio.gather(*(put(saver, f"t{n}", 1) for n in range(100)))
        await saver.flush()
        assert commits <= 3
        assert len([each async for each in saver.alist(None)]) == 100


async def test_it_is_written_without_being_asked(tmp_path: Path) -> None:
    async with open_checkpoints(tmp_path / "a.sqlite") as saver:
        await put(saver, "t", 1)
        await asyncio.sleep(20 * WINDOW)
        with sqlite3.connect(tmp_path / "a.sqlite") as other:
            assert other.execute("SELECT count(*) FROM checkpoints").fetchone() == (1,)


async def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    async with open_checkpoints(tmp_path / "a.sqlite") as saver:
        commit = saver._writer._commit
        saver._writer._commit = lambda batch: sqlite3.OperationalError("database or disk is full")  # type: ignore[method-assign]
        await put(saver, "t", 1)
        with pytest.raises(EngineFailed, match="disk is full"):
            await saver.flush()
        with pytest.raises(EngineFailed, match="disk is full"):
            await saver.aget_tuple(place("t"))
        with pytest.raises(EngineFailed, match="disk is full"):
            await put_many(saver, range(2, 2_000))
        saver._writer._commit = commit  # type: ignore[method-assign]
        newest = await saver.aget_tuple(place("t"))
        assert newest is not None
        assert int(newest.checkpoint["id"]) >= 500
        assert len([each async for each in saver.alist(place("t"))]) == int(newest.checkpoint["id"])


async def test_a_run_whose_steps_cannot_be_kept_says_so(bench: Bench) -> None:
    async with parrots(bench) as runs:
        await heard(runs, await runs.start("parrot", "hello"))
        writer = runs._saver._writer
        commit = writer._commit
        run = await runs.start("parrot", "endless")
        await asyncio.sleep(0.2)
        writer._commit = lambda batch: sqlite3.OperationalError("database or disk is full")  # type: ignore[method-assign]
        await runs._saver.aput_writes(place("x", "1"), [("seen", 1)], "task")
        await runs.cancel(run)
        events = await heard(runs, run)
        assert (ending(events).status, "disk is full" in ending(events).reason) == ("failed", True)
        writer._commit = commit  # type: ignore[method-assign]
        assert ending(await heard(runs, await runs.start("parrot", "hello"))).status == "done"


async def test_a_kill_loses_nothing_that_was_flushed(tmp_path: Path) -> None:
    script = f"""
        import asyncio, os
        from pathlib import Path
        import graphs
        from graphs.checkpoints import open_checkpoints
        from tests.graphs.test_checkpoints import put
        async def main():
            async with open_checkpoints(Path({str(tmp_path / "a.sqlite")!r})) as saver:
                for number in range(1, 301):
                    await put(saver, "t", number)
                    if number == 200:
                        await saver.flush()
                os.kill(os.getpid(), 9)
        asyncio.run(main())
    """
    killed = await anyio.run_process([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert killed.returncode == -9, killed.stderr
    async with open_checkpoints(tmp_path / "a.sqlite") as saver:
        kept = [int(each.checkpoint["id"]) async for each in saver.alist(place("t"))]
    assert len(kept) >= 200
    assert kept == list(range(len(kept), 0, -1))

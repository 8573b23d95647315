"""Queries and the event loop while 60 000 segments are optimised aside: nobody may wait for the optimiser.

A query (dense, words and both in turn) runs every few milliseconds, as does a tick of the loop, first while nothing
else happens and then while every sealed part goes through the optimiser.
"""

import asyncio
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from knowledge.embedded import EmbeddedStore, open_embedded
from knowledge.embedded_child import EmbeddedEngine
from knowledge.store import Query
from tests.bench.points import DIMENSIONS, batches, vectors
from tools.settings import Store

_TICK = 0.005
_PAUSE = 0.02


async def run(home: Path, data: Path | None, quick: bool = False) -> dict[str, Any]:
    """Milliseconds: `query` is the whole wait, `lag` how late the loop was; `bar` is 50 ms at p99."""
    count = 10_000 if quick else 60_000
    folder = home / "bench-optimise"
    shutil.rmtree(folder, ignore_errors=True)
    seal = 2_000 if quick else Store().seal_points
    store = await open_embedded(folder, DIMENSIONS, seal)
    try:
        for items in batches(vectors(count, seed=3)):
            await store.upsert("bench", items)
        waiting = len(await store._call(EmbeddedEngine.waiting))
        started = time.perf_counter()
        done = asyncio.create_task(store.optimised())
        busy = await _watch(store, done)
        seconds = time.perf_counter() - started
        quiet = await _watch(store, asyncio.create_task(asyncio.sleep(5)))
    finally:
        await store.close()
        shutil.rmtree(folder, ignore_errors=True)
    figures: dict[str, Any] = {"segments": count, "parts_left_to_optimise": waiting, "seconds": round(seconds, 1)}
    figures["load_average"] = round(os.getloadavg()[0], 1)
    return figures | {f"quiet_{name}": ms for name, ms in quiet.items()} | busy


async def _watch(store: EmbeddedStore, done: "asyncio.Task[Any]") -> dict[str, float]:
    """Waits and lags until the task is done."""
    lags: list[float] = []

    async def tick() -> None:
        while not done.done():
            before = time.perf_counter()
            await asyncio.sleep(_TICK)
            lags.append((time.perf_counter() - before - _TICK) * 1000)

    ticking = asyncio.create_task(tick())
    waits = await _ask(store, done)
    await ticking
    await done
    return {"queries": len(waits), **_percentiles("query", waits), **_percentiles("lag", lags)}


async def _ask(store: EmbeddedStore, done: "asyncio.Task[Any]") -> list[float]:
    asked, waits = vectors(64, seed=4), list[float]()
    while not done.done():
        vector, words = asked[len(waits) % 64], f"a quiet street n{len(waits)}"
        kinds = (Query(vector=vector), Query(words=words), Query(vector=vector, words=words))
        started = time.perf_counter()
        await store.search("bench", kinds[len(waits) % 3])
        waits.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(_PAUSE)
    return waits


def _percentiles(name: str, values: list[float]) -> dict[str, float]:
    p50, p99, most = np.percentile(values, [50, 99, 100])
    return {f"{name}_ms_p50": round(p50, 2), f"{name}_ms_p99": round(p99, 2), f"{name}_ms_most": round(most, 2)}

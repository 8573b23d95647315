"""A question within one video and two minutes of it, among 100 000 segments: the store against the raw engine.

Ours goes through the store's child process with everything that a query gets there; raw is one shard of the same
engine in this process, with the same points, payload and filter. Rounds are interleaved; medians of round medians.
"""

import asyncio
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowledge.embedded import open_embedded
from knowledge.parts import create, edge_filter
from knowledge.schema import DENSE, conditions, payload, point_id
from knowledge.store import Query, SegmentStore, Where
from tests.bench.points import DIMENSIONS, SECONDS, VIDEOS, batches, place, vectors
from tools.settings import Store

_WINDOW = 120.0
_LIMIT = 10
_ROUNDS = 5
_QUERIES = 40


async def run(home: Path, data: Path | None, quick: bool = False) -> dict[str, Any]:
    """Milliseconds, recall against brute force, and `ratio` = ours / (3 x raw + 1 ms), which must not exceed 1."""
    count = 20_000 if quick else 100_000
    made = vectors(count, seed=1)
    folder = home / "bench-temporal"
    shutil.rmtree(folder, ignore_errors=True)
    store = await open_embedded(folder / "ours", DIMENSIONS, Store().seal_points)
    try:
        started = time.perf_counter()
        for items in batches(made):
            await store.upsert("bench", items)
        figures: dict[str, Any] = {
            "segments": count,
            "upsert_per_second": round(count / (time.perf_counter() - started)),
        }
        figures |= await _measure(store, await asyncio.to_thread(_raw, folder / "raw", made), made)
    finally:
        await store.close()
        shutil.rmtree(folder, ignore_errors=True)
    return figures


def _raw(folder: Path, made: NDArray[np.float32]) -> Any:
    from qdrant_edge import Point, UpdateOperation

    folder.mkdir(parents=True)
    shard = create(folder / "shard", DIMENSIONS, log=True)
    for items in batches(made):
        points = [
            Point(point_id("bench", each.segment), {DENSE: each.vector.tolist()}, payload("bench", each.segment))
            for each in items
        ]
        for first in range(0, len(points), 200):
            shard.update(UpdateOperation.upsert_points(points[first : first + 200]))
    return shard


async def _measure(store: SegmentStore, shard: Any, made: NDArray[np.float32]) -> dict[str, Any]:
    from qdrant_edge import Query as EdgeQuery
    from qdrant_edge import QueryRequest

    asked = vectors(_ROUNDS * _QUERIES, seed=2)
    wheres = [_where(number, len(made)) for number in range(len(asked))]
    ours: list[list[float]] = []
    raw: list[list[float]] = []
    recalls: list[float] = []
    for round_ in range(_ROUNDS):
        ours.append([])
        raw.append([])
        for number in range(round_ * _QUERIES, (round_ + 1) * _QUERIES):
            where, vector = wheres[number], asked[number]
            started = time.perf_counter()
            hits = await store.search("bench", Query(where=where, vector=vector, limit=_LIMIT))
            ours[-1].append((time.perf_counter() - started) * 1000)
            request = QueryRequest(
                _LIMIT,
                query=EdgeQuery.Nearest(vector.tolist(), using=DENSE),
                filter=edge_filter(conditions("bench", where), set()),
                with_payload=True,
            )
            started = time.perf_counter()
            shard.query(request)
            raw[-1].append((time.perf_counter() - started) * 1000)
            truth = _brute(made, vector, number, where)
            recalls.append(len({hit.segment.text.rsplit("n", 1)[1] for hit in hits} & truth) / max(len(truth), 1))
    return _figures(ours, raw, recalls)


def _figures(ours: list[list[float]], raw: list[list[float]], recalls: list[float]) -> dict[str, Any]:
    def p50(rounds: list[list[float]]) -> float:
        return statistics.median(statistics.median(each) for each in rounds)

    def p95(rounds: list[list[float]]) -> float:
        return statistics.quantiles([ms for each in rounds for ms in each], n=20)[-1]

    return {
        "ours_ms_p50": round(p50(ours), 3),
        "ours_ms_p95": round(p95(ours), 3),
        "raw_ms_p50": round(p50(raw), 3),
        "raw_ms_p95": round(p95(raw), 3),
        "ratio": round(p50(ours) / (3 * p50(raw) + 1), 3),
        "recall10": round(statistics.mean(recalls), 4),
    }


def _where(number: int, count: int) -> Where:
    start = (number * 379.0) % (SECONDS - _WINDOW)
    return Where(sources=[place(number % VIDEOS, count)[0]], start=start, end=start + _WINDOW)


def _brute(made: NDArray[np.float32], vector: NDArray[np.float32], number: int, where: Where) -> set[str]:
    """The numbers of the nearest segments in the window, by numpy."""
    step = SECONDS / (len(made) / VIDEOS)
    start = (np.arange(len(made)) // VIDEOS) * step
    inside = (
        (np.arange(len(made)) % VIDEOS == number % VIDEOS)
        & (start < (where.end or 0))
        & (start + step > (where.start or 0))
    )
    rows = np.flatnonzero(inside)
    return {str(row) for row in rows[np.argsort(-(made[rows] @ vector))[:_LIMIT]]}

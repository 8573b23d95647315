"""From a question to evidence: embedded, searched by meaning and words, grouped by source, widened to neighbours."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from knowledge.library import LIBRARY
from knowledge.segment import Modality, Segment
from knowledge.store import STORE, Hit, Indexed, Query, SegmentStore, Where
from knowledge.windows import readable, windows
from tools.bench import Bench
from tools.embedding import RERANKING, TEXT_EMBEDDING, Reranking, TextEmbedding

BATCH = 32
"""Texts per call of the embedding engine: what a question that comes in between waits for."""

_AT_ONCE = 8
_MOST_NEIGHBOURS = 12
_FLOWING: tuple[Modality, ...] = ("speech", "caption")


async def index(bench: Bench, segments: Sequence[Segment]) -> list[Indexed]:
    """Segments with the vectors of their texts and, where they are long, of their windows."""
    texts = [readable(each) for each in segments]
    pieces = [windows(text) for text in texts]
    flat = texts + [piece for each in pieces for piece in each]
    made: list[NDArray[np.float32]] = []
    async with bench.engine(TEXT_EMBEDDING) as engine:
        for first in range(0, len(flat), BATCH):
            made.append(await engine.call(TextEmbedding.passages, flat[first : first + BATCH]))
            bench.progress(fraction=min(first + BATCH, len(flat)) / len(flat))
    vectors = np.concatenate(made)
    counts = np.cumsum([len(segments), *(len(each) for each in pieces)])
    near = np.split(vectors, counts)[1:]
    return [Indexed(segment, vectors[row], near[row] if pieces[row] else None) for row, segment in enumerate(segments)]


async def find(bench: Bench, question: str, where: Where, limit: int) -> list[Hit]:
    """The tenant's best matches by meaning and words together."""
    async with bench.engine(TEXT_EMBEDDING) as engine:
        vectors = await engine.call(TextEmbedding.queries, [question])
    query = Query(where=where, vector=vectors[0], words=question, limit=limit)
    return await bench.part(STORE).search(bench.tenant, query)


def decay(hits: Sequence[Hit], *, now: datetime, half_life_days: float) -> list[Hit]:
    """The same hits with up to one standard deviation added for what is new; what has no date gets nothing."""

    def freshness(segment: Segment) -> float:
        recorded = segment.recorded_to or segment.recorded_from
        if recorded is None:
            return 0.0
        days = max((now.astimezone(UTC) - recorded).total_seconds() / 86_400, 0.0)
        return float(0.5 ** (days / half_life_days))

    fresh = [hit.model_copy(update={"score": hit.score + freshness(hit.segment)}) for hit in hits]
    return sorted(fresh, key=lambda hit: -hit.score)


async def reorder(bench: Bench, question: str, hits: list[Hit], *, language: str | None, top: int) -> list[Hit]:
    """The first `top` hits in the order of the cross-encoder; raises `NotInstalled` where none knows the language."""
    head, tail = hits[:top], hits[top:]
    async with bench.engine(RERANKING, language=language) as engine:
        scores = await engine.call(Reranking.scores, question, [readable(hit.segment) for hit in head])
    order = sorted(range(len(head)), key=lambda row: -scores[row])
    # the new order with the old scores: logits and fused scores have no common scale
    return [head[row].model_copy(update={"score": hit.score}) for row, hit in zip(order, head, strict=True)] + tail


async def neighbours(store: SegmentStore, tenant: str, segment: Segment, seconds: float) -> list[Segment]:
    """What was said just before and after a timed segment, or what else stands on the page; in order."""
    base = Where(knowledge_bases=[segment.knowledge_base], sources=[segment.source])
    if segment.start is not None:
        end = segment.end if segment.end is not None else segment.start
        window = {"start": max(segment.start - seconds, 0.0), "end": end + seconds, "modalities": list(_FLOWING)}
        found = await store.scroll(tenant, base.model_copy(update=window), limit=_MOST_NEIGHBOURS)
    elif segment.page is not None:
        page = base.model_copy(update={"pages": [segment.page]})
        found = await store.scroll(tenant, page, order="page", limit=_MOST_NEIGHBOURS)
    else:
        return []
    return [each for each in found if each.id != segment.id]


async def widen(bench: Bench, hits: Sequence[Hit], seconds: float) -> list[list[Segment]]:
    """The neighbours of each hit; none of them a hit itself, and none twice."""
    store, gate = bench.part(STORE), asyncio.Semaphore(_AT_ONCE)

    async def one(hit: Hit) -> list[Segment]:
        async with gate:
            return await neighbours(store, bench.tenant, hit.segment, seconds)

    seen = {(hit.segment.knowledge_base, hit.segment.id) for hit in hits}
    widened: list[list[Segment]] = []
    for found in await asyncio.gather(*(one(hit) for hit in hits)):
        new = {(each.knowledge_base, each.id): each for each in found}
        widened.append([each for key, each in new.items() if key not in seen])
        seen |= set(new)
    return widened


async def names(bench: Bench, hits: Sequence[Hit]) -> dict[tuple[str, str], str]:
    """The names of the hits' sources by knowledge base and hash; a source that the library lost keeps its hash."""
    library = bench.part(LIBRARY)
    keys = {(hit.segment.knowledge_base, hit.segment.source) for hit in hits}
    found = await asyncio.gather(*(library.find(bench.tenant, base, sha) for base, sha in keys))
    return {key: source.name if source else key[1][:12] for key, source in zip(keys, found, strict=True)}

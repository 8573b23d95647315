"""Looking into memory: the question's times as conditions, and searches within them."""

import numpy as np

from graphs.temporal.state import Found, Plan
from knowledge.moments import TimeCondition
from knowledge.segment import Modality, Segment
from knowledge.store import STORE, Query, Where
from tools.bench import Bench
from tools.embedding_tools import EmbedInput, embed_texts

NEAR_SECONDS = 30.0
"""How far «just before» and «just after» reach; twice as far without the «just»."""

LIMIT = 8


def where_of(times: TimeCondition, knowledge_bases: list[str], sources: list[str]) -> Where:
    """The question's times as the store's conditions."""
    media = times.media
    fixed = media is not None and media.unit == "seconds" and not media.from_end
    return Where(
        knowledge_bases=knowledge_bases,
        sources=sources,
        start=media.start if media and fixed else None,
        end=media.end if media and fixed else None,
        recorded_from=times.recorded_from,
        recorded_to=times.recorded_to,
    )


def around(plan: Plan, anchor: Segment) -> Where:
    """Where to look for something that is told by its place before, after or during the anchor."""
    relation = plan.times.relation
    start, end = anchor.start or 0.0, anchor.end or anchor.start or 0.0
    reach = NEAR_SECONDS if relation and relation.near else 2 * NEAR_SECONDS
    offset = relation.offset if relation else None
    windows = {
        "before": (max(start - (offset or reach), 0.0), start),
        "until": (0.0, start),
        "after": (end, end + (offset or reach)),
        "during": (start, end),
        "between": (end, None),
    }
    first, last = windows[relation.kind] if relation else (start, end)
    return plan.where.model_copy(update={"sources": [anchor.source], "start": first, "end": last})


async def look(bench: Bench, text: str, where: Where, modalities: list[Modality], limit: int = LIMIT) -> list[Found]:
    """The best matches of these kinds, by meaning and by words."""
    embedded = await bench.call(embed_texts, EmbedInput(texts=[text], kind="query"))
    vector = np.asarray(embedded.vectors[0], dtype=np.float32)
    kinds = where.model_copy(update={"modalities": modalities})
    hits = await bench.part(STORE).search(bench.tenant, Query(where=kinds, vector=vector, words=text, limit=limit))
    return [
        Found(segment=hit.segment, name=hit.segment.source[:12], score=hit.score, rank=rank)
        for rank, hit in enumerate(hits)
    ]

"""Looking into memory: the question's times as conditions, and searches within them."""

import asyncio

from graphs.temporal.state import Found, Plan
from knowledge.moments import MediaWindow, TimeCondition
from knowledge.segment import Modality, Segment
from knowledge.store import Where
from knowledge.tools import ListSourcesInput, RecallInput, list_sources, recall
from tools.bench import Bench

NEAR_SECONDS = 30.0
"""How far «just before» and «just after» reach; twice as far without the «just»."""

LIMIT = 8
SOURCES = 8
"""Recordings that «the last minute» is looked up in at most, the newest ones."""


def where_of(times: TimeCondition, knowledge_bases: list[str], sources: list[str]) -> Where:
    """The question's times as the store's conditions, without those that depend on a recording's length."""
    media = times.media if times.media and not _relative(times.media) else MediaWindow()
    return Where(
        knowledge_bases=knowledge_bases,
        sources=sources,
        start=media.start,
        end=media.end,
        recorded_from=times.recorded_from,
        recorded_to=times.recorded_to,
    )


async def scopes(bench: Bench, plan: Plan) -> list[Where]:
    """Where to look: usually one place; for «the last minute» and «the first half» one for each recording."""
    window = plan.times.media
    if window is None or not _relative(window):
        return [plan.where]
    listed = await bench.call(list_sources, ListSourcesInput())
    bases, wanted = plan.where.knowledge_bases, plan.where.sources
    fitting = [
        (each.sha256, window.seconds(each.duration))
        for each in listed.sources
        if each.duration and (not bases or each.knowledge_base in bases) and (not wanted or each.sha256 in wanted)
    ]
    return [
        plan.where.model_copy(update={"sources": [sha], "start": start, "end": end})
        for sha, (start, end) in fitting[:SOURCES]
    ]


def around(plan: Plan, anchor: Segment) -> Where:
    """Where to look for something that is told by its place before, after or during the anchor."""
    relation = plan.times.relation
    start, end = anchor.start or 0.0, anchor.end or anchor.start or 0.0
    near, offset = relation is not None and relation.near, relation.offset if relation else None
    reach = offset or (NEAR_SECONDS if near else 2 * NEAR_SECONDS)
    windows: dict[str, tuple[float, float | None]] = {
        "before": (max(start - reach, 0.0), start),
        "until": (0.0, start),
        "after": (end, end + reach),
        "during": (start, end),
        "between": (end, None),
    }
    first, last = windows[relation.kind] if relation else (start, end)
    return plan.where.model_copy(update={"sources": [anchor.source], "start": first, "end": last})


async def look(bench: Bench, text: str, where: list[Where], modalities: list[Modality]) -> list[Found]:
    """The best matches of these kinds, by meaning and by words, best first."""
    kinds = [each.model_copy(update={"modalities": modalities}) for each in where]
    recalled = await asyncio.gather(
        *(
            bench.call(recall, RecallInput(question=text, where=each, limit=LIMIT, neighbour_seconds=0))
            for each in kinds
        )
    )
    hits = [
        (evidence.score, group.name, evidence.segment)
        for each in recalled
        for group in each.groups
        for evidence in group.evidence
    ]
    ordered = sorted(hits, key=lambda hit: -hit[0])[:LIMIT]
    return [
        Found(segment=segment, name=name, score=score, rank=rank) for rank, (score, name, segment) in enumerate(ordered)
    ]


def _relative(window: MediaWindow) -> bool:
    return window.from_end or window.unit == "fraction"

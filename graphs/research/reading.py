"""Reading the chosen leads: pages through the guarded fetcher, documents through ingestion, memory through recall."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import date

from graphs.research.passages import keep, sketch
from graphs.research.state import Lead, Missed, Passage, Plan, Source
from ingestion.documents.segments import VERSION, document_segments
from ingestion.stages import once
from knowledge.library import LIBRARY
from knowledge.segment import Segment
from knowledge.store import Where
from knowledge.tools import RecallInput, recall
from tools.bench import Bench
from tools.errors import NotInstalled, SutradharError
from tools.web.pages import FetchInput, Page, fetch_page

NEIGHBOUR_SECONDS = 20.0
_HITS = 8
_PASSAGES = 400
_PAGES = 20
"""Pages of one fetch, as many as the tool takes."""


async def read_memory(bench: Bench, plan: Plan, n: int, lead: Lead) -> Source | Missed:
    """What a remembered source says to any of the questions, with what stands beside it."""
    where = Where(sources=[lead.key], knowledge_bases=[lead.knowledge_base])
    found = dict[str, Segment]()
    for question in plan.questions:
        asked = RecallInput(question=question, where=where, limit=_HITS, neighbour_seconds=NEIGHBOUR_SECONDS)
        for group in (await bench.call(recall, asked)).groups:
            for each in group.evidence:
                found |= {str(segment.id): segment for segment in (each.segment, *each.neighbours)}
    if not found:
        return Missed(what=lead.title, reason="Nothing in it speaks to the topic.")
    segments = sorted(found.values(), key=lambda each: (each.page or 0, each.start or 0.0))[:_PASSAGES]
    recorded = next((each.recorded_from for each in segments if each.recorded_from), None)
    passages = [_passage(each) for each in segments]
    return Source(
        n=n,
        place="memory",
        key=lead.key,
        name=lead.title,
        media=lead.key,
        passages=await keep(bench, passages),
        published=recorded.date().isoformat() if recorded else "",
        sketch=sketch(passages),
    )


def _passage(segment: Segment) -> Passage:
    return Passage(
        text=segment.text,
        modality=segment.modality,
        start=segment.start,
        end=segment.end,
        page=segment.page,
        segment=str(segment.id),
    )


async def read_pages(bench: Bench, leads: Sequence[tuple[int, Lead]]) -> tuple[list[Source], list[Missed]]:
    """Pages of the web, each with its own time of access; what could not be read says why."""
    read, missed = list[Source](), list[Missed]()
    for given in (True, False):
        some = {lead.key: (n, lead) for n, lead in leads if (lead.place == "given") == given}
        if not some:
            continue
        urls = list(some)
        for start in range(0, len(urls), _PAGES):
            asked = FetchInput(urls=urls[start : start + _PAGES], given=given)
            try:
                told = await bench.call(fetch_page, asked)
            except SutradharError as error:
                missed += [Missed(what=url, reason=error.message) for url in asked.urls]
                continue
            missed += [Missed(what=each.asked, reason=each.reason) for each in told.unread]
            for page in told.pages:
                made = await _page_source(bench, *some[page.asked], page)
                if isinstance(made, Source):
                    read.append(made)
                else:
                    missed.append(made)
    return read, missed


async def _page_source(bench: Bench, n: int, lead: Lead, page: Page) -> Source | Missed:
    try:
        passages = await _document(bench, page) if page.document else [Passage(text=each) for each in page.paragraphs]
    except SutradharError as error:
        return Missed(what=page.asked, reason=error.message)
    if not passages:
        return Missed(what=page.asked, reason="There is no text in it.")
    name = page.title or lead.title or page.url
    # a process without a library shows no media either
    with suppress(NotInstalled):
        await bench.part(LIBRARY).own(bench.tenant, page.media, name)
    return Source(
        n=n,
        place=lead.place,
        key=lead.key,
        name=name[:200],
        url=page.url,
        media=page.media,
        passages=await keep(bench, passages),
        site=page.site,
        author=page.author,
        published=_day(page.published) or _day(lead.published),
        accessed=page.at,
        sketch=sketch(passages),
    )


async def _document(bench: Bench, page: Page) -> list[Passage]:
    """A PDF or office document of the web, read by the limited child that reads uploads."""
    media = await bench.media.get(page.media)
    segments = await once(
        bench, page.media, "read", VERSION, lambda: document_segments(media, bench, "web", lambda note: None)
    )
    return [_passage(each) for each in segments[:_PASSAGES]]


def _day(told: str) -> str:
    """An ISO date; empty for what is none or lies in the future, which pages claim when they mean something else."""
    try:
        found = date.fromisoformat(told[:10])
    except ValueError:
        return ""
    return found.isoformat() if date(1900, 1, 1) <= found <= date.today() else ""  # noqa: DTZ011 - a day, not a time

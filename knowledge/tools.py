"""The tools of memory: remember, search, recall, and what the library knows of the sources."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from knowledge.library import LIBRARY, Name, Sha, Source, SourceChange, SourceState
from knowledge.retrieval import decay, find, index, names, reorder, widen
from knowledge.segment import Segment
from knowledge.store import STORE, Hit, Where
from tools.bench import Bench
from tools.errors import EngineFailed, NotInstalled
from tools.toolbox import tool

Question = Annotated[str, Field(min_length=1, max_length=4_000)]
Limit = Annotated[int, Field(ge=1, le=200)]

_RERANKED = 5
_WIDER = 3


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Output(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RememberInput(_Input):
    segments: Annotated[list[Segment], Field(max_length=1_024)]


class Remembered(_Output):
    segments: int


class SearchInput(_Input):
    query: Question | None = Field(None, description="Without it the segments come in order of time, then page.")
    where: Where = Where()
    limit: Limit = 10


class Found(_Output):
    hits: list[Hit] = Field(description="The best first; scores compare within one search only.")


class RecallInput(_Input):
    question: Question
    where: Where = Where()
    limit: Annotated[int, Field(ge=1, le=50)] = 8
    neighbour_seconds: Annotated[float, Field(ge=0, le=600)] = Field(
        8.0, description="How far around a moment its neighbours are fetched; 0 for none."
    )
    half_life_days: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Prefer what was recorded lately; after so many days half of the preference is left."
    )
    rerank: bool = Field(False, description="Read the best passages again with a cross-encoder, a second or more.")
    language: Annotated[str, Field(max_length=16)] | None = Field(None, description="ISO 639-1, of the question.")


class Evidence(_Output):
    """A segment that speaks to the question, with what stands beside it in the medium."""

    segment: Segment
    score: float
    neighbours: list[Segment]


class Group(_Output):
    """The evidence from one source, best first."""

    source: str
    knowledge_base: str
    name: str
    evidence: list[Evidence]


class Recalled(_Output):
    groups: list[Group] = Field(description="The source with the best evidence first.")
    reranked: bool = False


class PutSourceInput(_Input):
    sha256: Sha
    knowledge_base: Name
    change: SourceChange = SourceChange()


class SourceInput(_Input):
    sha256: Sha
    knowledge_base: Name


class ListSourcesInput(_Input):
    knowledge_base: Name | None = None
    state: SourceState | None = Field(None, description="Only those that are queued, running, ready or failed.")


class Sources(_Output):
    sources: list[Source]


class ForgetInput(_Input):
    knowledge_base: Name
    sha256: Sha | None = Field(None, description="One source of it; without it the whole knowledge base.")


class ForgetSegmentsInput(_Input):
    knowledge_base: Name
    source: Sha
    ids: Annotated[list[UUID], Field(min_length=1, max_length=4_096)]


class Forgotten(_Output):
    sources: int
    segments: int


class Nothing(_Input):
    pass


class KnowledgeBase(_Output):
    name: str
    sources: int
    segments: int


class KnowledgeBases(_Output):
    knowledge_bases: list[KnowledgeBase]


@tool(title="Remember", effect="write", idempotent=True)
async def remember(input: RememberInput, bench: Bench) -> Remembered:
    """Keep segments so that they are found again; returns once they survive a crash, and keeps the same one once."""
    if input.segments:
        await bench.part(STORE).upsert(bench.tenant, await index(bench, input.segments))
    return Remembered(segments=len(input.segments))


@tool(title="Search memory")
async def search(input: SearchInput, bench: Bench) -> Found:
    """Find segments by meaning and words, within conditions on source, kind, language, page, time or wall clock."""
    if input.query is not None:
        return Found(hits=await find(bench, input.query, input.where, input.limit))
    segments = await bench.part(STORE).scroll(bench.tenant, input.where, limit=input.limit)
    return Found(hits=[Hit(segment=each, score=0.0) for each in segments])


@tool(title="Recall evidence")
async def recall(input: RecallInput, bench: Bench) -> Recalled:
    """Find evidence for a question in everything remembered: moments and pages, by source, with their neighbours."""
    hits = await find(bench, input.question, input.where, input.limit * _WIDER)
    if input.half_life_days is not None:
        hits = decay(hits, now=datetime.now(UTC), half_life_days=input.half_life_days)
    reranked = False
    if input.rerank and len(hits) > 1:
        try:
            hits = await reorder(bench, input.question, hits, language=input.language, top=_RERANKED)
            reranked = True
        except (NotInstalled, EngineFailed):
            # the fused order stands, and the answer says that nothing was reranked
            reranked = False
    hits = hits[: input.limit]
    near = await widen(bench, hits, input.neighbour_seconds) if input.neighbour_seconds else [[] for _ in hits]
    called = await names(bench, hits)
    groups: dict[tuple[str, str], list[Evidence]] = {}
    for hit, beside in zip(hits, near, strict=True):
        key = (hit.segment.knowledge_base, hit.segment.source)
        groups.setdefault(key, []).append(Evidence(segment=hit.segment, score=hit.score, neighbours=beside))
    return Recalled(
        groups=[
            Group(source=source, knowledge_base=base, name=called[base, source], evidence=evidence)
            for (base, source), evidence in groups.items()
        ],
        reranked=reranked,
    )


@tool(title="Add or change a source", effect="write", idempotent=True)
async def put_source(input: PutSourceInput, bench: Bench) -> Source:
    """Note a source and how far its ingest is; what is not given stays as it was."""
    return await bench.part(LIBRARY).put(bench.tenant, input.knowledge_base, input.sha256, input.change)


@tool(title="Show a source")
async def get_source(input: SourceInput, bench: Bench) -> Source:
    """Show one source of a knowledge base: state, stages, length, and what was remembered of it."""
    return await bench.part(LIBRARY).get(bench.tenant, input.knowledge_base, input.sha256)


@tool(title="List sources")
async def list_sources(input: ListSourcesInput, bench: Bench) -> Sources:
    """List the videos and documents that were ingested, newest first, with their state and stages."""
    return Sources(sources=await bench.part(LIBRARY).sources(bench.tenant, input.knowledge_base, input.state))


@tool(title="Forget", effect="write", idempotent=True)
async def forget(input: ForgetInput, bench: Bench) -> Forgotten:
    """Forget a source, or a whole knowledge base, with everything that was remembered of it.

    The medium itself goes too, with its frames and transcripts, unless somebody else still has it.
    """
    library, store = bench.part(LIBRARY), bench.part(STORE)
    shas = [input.sha256] if input.sha256 else []
    where = Where(knowledge_bases=[input.knowledge_base], sources=shas)
    segments = await store.count(bench.tenant, where)
    await store.delete(bench.tenant, where)
    known = await library.sources(bench.tenant, input.knowledge_base)
    gone = [each.sha256 for each in known if input.sha256 in (None, each.sha256)]
    for sha in gone:
        await library.forget(bench.tenant, input.knowledge_base, sha)
    held = await library.held()
    for sha in {*gone} - held:
        # whoever uploads the same bytes in this very moment is told to upload them again
        await bench.media.delete(sha)
    return Forgotten(sources=len(gone), segments=segments)


@tool(title="Forget segments", effect="write", idempotent=True)
async def forget_segments(input: ForgetSegmentsInput, bench: Bench) -> Forgotten:
    """Forget some of what was remembered of a source, such as what was seen at a glance once it was seen well."""
    ids = [str(each) for each in input.ids]
    where = Where(knowledge_bases=[input.knowledge_base], sources=[input.source], ids=ids)
    segments = await bench.part(STORE).count(bench.tenant, where)
    await bench.part(STORE).delete(bench.tenant, where)
    return Forgotten(sources=0, segments=segments)


@tool(title="List knowledge bases")
async def list_knowledge_bases(input: Nothing, bench: Bench) -> KnowledgeBases:
    """List the knowledge bases with how many sources and segments each holds."""
    segments = await bench.part(STORE).facet(bench.tenant, "knowledge_base", Where())
    sources: dict[str, int] = {}
    for each in await bench.part(LIBRARY).sources(bench.tenant):
        sources[each.knowledge_base] = sources.get(each.knowledge_base, 0) + 1
    return KnowledgeBases(
        knowledge_bases=[
            KnowledgeBase(name=name, sources=sources.get(name, 0), segments=segments.get(name, 0))
            for name in sorted({*segments, *sources})
        ]
    )


TOOLS: tuple[Any, ...] = (
    remember,
    search,
    recall,
    put_source,
    get_source,
    list_sources,
    forget,
    forget_segments,
    list_knowledge_bases,
)

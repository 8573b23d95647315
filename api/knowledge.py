"""Knowledge bases over HTTP: sources, uploads that are ingested, search, and forgetting."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api import ingests
from api.deps import BenchDep, HostDep, TenantDep
from api.failures import Malformed
from api.host import Host
from api.ingests import follow, submit
from api.sse import EventStream, Frames, frame
from api.uploads import Field, parts
from knowledge.library import LIBRARY, Source
from knowledge.segment import Modality, Segment
from knowledge.store import STORE, Where
from tools.errors import InvalidInput, SutradharError

router = APIRouter(prefix="/api/v1/knowledge", tags=["knowledge"])

Base = Annotated[str, Query(max_length=200)]
Sha = Annotated[str, "The sha256 of the content."]


class KnowledgeBase(BaseModel):
    """`segments` counts by modality."""

    name: str
    sources: int
    segments: dict[str, int]


class Described(BaseModel):
    """A source as the doors tell it; `seconds` is by stage."""

    id: str
    name: str
    knowledge_base: str
    kind: str
    state: str
    reason: str
    duration: float | None
    pages: int | None
    segments: dict[str, int]
    seconds: dict[str, float]
    stages: dict[str, Any]
    added_at: str


def describe(source: Source) -> Described:
    return Described(
        id=source.sha256,
        name=source.name,
        knowledge_base=source.knowledge_base,
        kind=source.kind,
        state=source.state,
        reason=source.reason,
        duration=source.duration,
        pages=source.pages,
        segments=source.segments,
        seconds={name: stage.seconds or 0.0 for name, stage in source.stages.items()},
        stages={name: stage.model_dump(mode="json") for name, stage in source.stages.items()},
        added_at=source.added_at.isoformat(),
    )


@router.get("/bases")
async def bases(bench: BenchDep) -> list[KnowledgeBase]:
    """The caller's knowledge bases."""
    found = dict[str, KnowledgeBase]()
    for source in await bench.part(LIBRARY).sources(bench.tenant):
        base = found.setdefault(
            source.knowledge_base, KnowledgeBase(name=source.knowledge_base, sources=0, segments={})
        )
        base.sources += 1
        for modality, count in source.segments.items():
            base.segments[modality] = base.segments.get(modality, 0) + count
    return list(found.values())


@router.get("/sources")
async def sources(bench: BenchDep, knowledge_base: Base | None = None) -> list[Described]:
    """The caller's sources, newest first."""
    return [describe(each) for each in await bench.part(LIBRARY).sources(bench.tenant, knowledge_base)]


@router.get("/sources/{source}")
async def source(source: Sha, bench: BenchDep, knowledge_base: Base = "default") -> Described:
    """One source: how far it is, and what was remembered of it."""
    return describe(await bench.part(LIBRARY).get(bench.tenant, knowledge_base, source))


@router.get("/sources/{source}/segments")
async def segments(
    source: Sha,
    bench: BenchDep,
    knowledge_base: Base = "default",
    modality: Annotated[list[Modality] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
) -> list[Segment]:
    """What was remembered of a source, in order of time or page."""
    found = await bench.part(LIBRARY).get(bench.tenant, knowledge_base, source)
    where = Where(knowledge_bases=[knowledge_base], sources=[source], modalities=modality or [])
    order = "start" if found.kind in ("video", "audio") else "page"
    return await bench.part(STORE).scroll(bench.tenant, where, order=order, limit=limit)  # type: ignore[arg-type]


@router.get("/sources/{source}/events", responses={200: {"content": {"text/event-stream": {}}}})
async def events(
    source: Sha, host: HostDep, bench: BenchDep, tenant: TenantDep, knowledge_base: Base = "default"
) -> Response:
    """The source each time it has changed, until it is ready or has failed."""
    await bench.part(LIBRARY).get(tenant, knowledge_base, source)
    return EventStream(_frames(host, tenant, knowledge_base, source), host.streams)


async def _frames(host: Host, tenant: str, knowledge_base: str, sha: str) -> Frames:
    async for each in follow(host, tenant, knowledge_base, sha):
        yield frame("source", describe(each).model_dump_json())


@router.delete("/sources/{source}")
async def forget(source: Sha, host: HostDep, tenant: TenantDep, knowledge_base: Base = "default") -> dict[str, bool]:
    """Forget a source, everything that was remembered of it, and its bytes unless somebody else has them."""
    await ingests.forget(host, source, knowledge_base=knowledge_base, tenant=tenant)
    return {"deleted": True}


@router.post("/search", response_model=None)
async def search(
    host: HostDep, bench: BenchDep, arguments: Annotated[dict[str, Any], Body(default_factory=dict)]
) -> Response:
    """Find moments and pages; takes what the tool `search` takes."""
    tool = host.toolbox["search"]
    output = await bench.call(tool, tool.parse(arguments))
    host.metrics.hits.labels("http").observe(len(getattr(output, "hits", ())))
    return Response(output.model_dump_json(), media_type="application/json")


UPLOAD_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "knowledge_base": {"type": "string", "default": "default"},
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    },
                }
            }
        },
    }
}


@router.post("/ingest", status_code=202, openapi_extra=UPLOAD_FORM)
async def ingest(request: Request, host: HostDep, bench: BenchDep) -> JSONResponse:
    """Upload files and have them ingested. `knowledge_base` comes before the files it is meant for."""
    knowledge_base, submitted, failures = "default", list[dict[str, Any]](), list[SutradharError]()
    async for part in parts(request):
        if isinstance(part, Field):
            if part.name == "knowledge_base":
                knowledge_base = _base(part.value)
            continue
        try:
            media = await bench.media.put(part.chunks, name=part.filename)
            run = await submit(host, media, knowledge_base=knowledge_base, tenant=bench.tenant)
            found = {"source": media.sha256, "name": media.name, "size": media.size, "run": run}
            submitted.append({**found, "knowledge_base": knowledge_base})
        except Malformed:
            raise
        except SutradharError as error:
            failures.append(error)
            submitted.append({"name": part.filename[:200], **error.body()})
    if not submitted:
        raise InvalidInput("The form has no file.", remedy="curl -F knowledge_base=… -F file=@film.mp4 …", param="file")
    if len(failures) == len(submitted):
        raise failures[0]
    return JSONResponse({"submitted": submitted}, status_code=202)


def _base(value: str) -> str:
    if not 1 <= len(value) <= 200:
        raise InvalidInput(f"{value[:80]!r} is not a knowledge base.", param="knowledge_base")
    return value

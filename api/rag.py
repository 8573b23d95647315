"""Answers from a knowledge base with what they show, and several kinds of material analysed together."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from api.chat import Answered, conclude
from api.deps import BenchDep, HostDep, TenantDep
from api.forms import opened, parsed, while_there
from api.host import Host
from api.uploads import Field as FormField
from api.uploads import Upload, parts
from graphs.catalog import Ask
from graphs.events import Citation
from graphs.relating.analysis import Analysis, analyze
from graphs.relating.relations import Part
from ingestion.frames import picture_at
from knowledge.library import LIBRARY
from tools.bench import Bench
from tools.errors import InvalidInput, NotFound, SutradharError
from tools.media.images import open_image
from tools.media.reader import open_media
from tools.media.store import Media

router = APIRouter(prefix="/api/v1/rag", tags=["rag"])

Modality = Literal["text", "image", "video"]


class Wanted(BaseModel):
    """A question to a knowledge base. `modality` says what the answer comes with: nothing more, the cited frames, or
    the cited moments. Without `temporal_context` no time in the question narrows where it is looked for."""

    model_config = ConfigDict(extra="forbid")

    query: Annotated[str, Field(min_length=1, max_length=20_000)]
    knowledge_base: Annotated[str, Field(min_length=1, max_length=200)]
    modality: Modality = "text"
    temporal_context: bool = True


class Shown(BaseModel):
    """What stands behind citation `n`: `media` is the medium at this moment or page, `frame` a picture of it. Seconds
    and pages as in the citation."""

    n: int
    source: str
    media: str
    frame: str | None = None
    start: float | None = None
    end: float | None = None
    page: int | None = None


class Generated(Answered):
    """The end of a run. `shown` is in the order of the citations; `notes` say of which there is nothing to show."""

    modality: Modality
    shown: list[Shown]
    notes: list[str]


@router.post("/generate", summary="Answer from a knowledge base")
async def generate(wanted: Wanted, host: HostDep, bench: BenchDep, tenant: TenantDep) -> Generated:
    """Ask the temporal agent. Streamed, this is `WS /api/v1/rag/stream`, or `POST /api/v1/chat`."""
    run = await begin(host, bench, wanted)
    ended = await conclude(host, tenant, run)
    cited = ended.answer.citations if ended.answer else []
    shown, notes = await show(cited, wanted.modality, bench)
    return Generated(**dict(ended), modality=wanted.modality, shown=shown, notes=notes)


async def begin(host: Host, bench: Bench, wanted: Wanted, thread: str | None = None) -> str:
    """Start the run; raises `NotFound` for a knowledge base that the tenant does not have."""
    host.streams.admit()
    sources = await bench.part(LIBRARY).sources(bench.tenant)
    known = sorted({each.knowledge_base for each in sources})
    if wanted.knowledge_base not in known:
        raise NotFound(
            f"There is no knowledge base {wanted.knowledge_base!r}.",
            remedy=f"Yours are: {', '.join(known[:20])}."
            if known
            else "Ingest something: POST /api/v1/knowledge/ingest.",
            param="knowledge_base",
        )
    ask = Ask(
        question=wanted.query,
        knowledge_bases=[wanted.knowledge_base],
        options={"temporal_context": wanted.temporal_context},
    )
    return await host.runs.start("temporal", ask, thread=thread, tenant=bench.tenant)


async def show(cited: Sequence[Citation], modality: Modality, bench: Bench) -> tuple[list[Shown], list[str]]:
    """The frames or moments of citations; a moment that was heard gets the frame that was seen then."""
    shown, notes = list[Shown](), list[str]()
    for each in cited if modality != "text" else ():
        if modality == "video" and each.start is None:
            notes.append(f"[{each.n}] {each.source} is no moment of a video.")
            continue
        frame, why = each.thumbnail, ""
        if frame is None and each.start is not None:
            frame, why = await _frame(each, bench)
        if frame is None:
            notes.append(f"[{each.n}] {each.source} has no picture. {why}".strip())
            if modality == "image":
                continue
        place = {"start": each.start, "end": each.end, "page": each.page}
        shown.append(Shown(n=each.n, source=each.source, media=_link(each), frame=frame, **place))
    return shown, notes


async def _frame(cited: Citation, bench: Bench) -> tuple[str | None, str]:
    """The address of the frame at a citation's beginning, or why there is none."""
    try:
        path = await bench.media.local(cited.media)
        async with open_media(path, bench.settings.limits) as reader:
            picture = await picture_at(reader, cited.start or 0.0, cited.media, bench)
    except SutradharError as error:
        return None, error.message
    return (f"/api/v1/media/{picture.image}", "") if picture else (None, "")


def _link(cited: Citation) -> str:
    """The medium's address with W3C's media fragment, which players understand, or a PDF's page."""
    address = f"/api/v1/media/{cited.media}"
    if cited.start is not None:
        end = f",{cited.end:.3f}" if cited.end is not None and cited.end > cited.start else ""
        return f"{address}#t={cited.start:.3f}{end}"
    return f"{address}#page={cited.page}" if cited.page else address


class Texts(BaseModel):
    """The form's fields that are not files; an empty one counts as absent."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=60_000)] | None = None
    context: Annotated[str, Field(max_length=60_000)] | None = None


class Material(BaseModel):
    """What was sent, the image with its width and height."""

    texts: dict[Part, str]
    image: tuple[Media, tuple[int, int]] | None = None
    video: Media | None = None


_FILES = ("image", "video")


async def _material(request: Request, bench: BenchDep) -> AsyncGenerator[Material, None]:
    """The form's parts; its files are dropped when the answer is sent."""
    values, files = dict[str, list[str]](), dict[str, Media]()
    async with AsyncExitStack() as stack:
        async for part in parts(request):
            if isinstance(part, FormField):
                if part.name not in _FILES or part.value:
                    values.setdefault(part.name, []).append(part.value)
            elif part.name not in _FILES or part.name in files:
                raise InvalidInput(
                    f"{part.name[:80]!r} is one file too many.", remedy="Send one `image` and one `video` at most."
                )
            elif (media := await _kept(part, bench, stack)) is not None:
                files[part.name] = media
        given = parsed(Texts, values).model_dump()
        texts: dict[Any, str] = {name: text for name, text in given.items() if text and text.strip()}
        if not texts and not files:
            raise InvalidInput(
                "There is nothing to analyse.", remedy="Send at least one of: text, image, video, context."
            )
        sized = await _sized(files["image"], bench) if "image" in files else None
        yield Material(texts=texts, image=sized, video=files.get("video"))


async def _kept(part: Upload, bench: Bench, stack: AsyncExitStack) -> Media | None:
    """The file while the request lasts. A browser sends an empty one for a field that was left out."""
    if not part.filename:
        return None
    chunks: AsyncIterator[bytes] = opened(part) if part.name == "video" else part.chunks
    return await stack.enter_async_context(bench.media.passing(chunks, name=part.filename[:200]))


async def _sized(media: Media, bench: Bench) -> tuple[Media, tuple[int, int]]:
    """The image with its width and height, once it was opened; raises for what is no image."""
    path = await bench.media.local(media.sha256)
    try:
        pixels = await asyncio.to_thread(lambda: open_image(path.read_bytes(), bench.settings.limits))
    except SutradharError as error:
        error.param = "image"
        raise
    return media, (pixels.shape[1], pixels.shape[0])


_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "text": {"type": "string"},
                        "image": {"type": "string", "format": "binary"},
                        "video": {"type": "string", "format": "binary"},
                        "context": {"type": "string"},
                    },
                }
            }
        },
    }
}


@router.post("/analyze", summary="Analyse text, image and video together", openapi_extra=_FORM)
async def analyze_together(
    request: Request, bench: BenchDep, material: Annotated[Material, Depends(_material)]
) -> Analysis:
    """Say what is in each part, and which words, names, things and times several of them share; each with its place.

    What was sent is forgotten with the answer, and its pictures with it; ingest a video to keep them."""
    return await while_there(request, analyze(material.texts, material.image, material.video, bench))

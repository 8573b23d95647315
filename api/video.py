"""The owner's video endpoints: a film goes in, its description, summary, analysis or a piece about it comes out.

What is ready within some seconds is the answer; what takes longer is a job (202) that can be followed, and that goes on
when the client leaves or the host is killed.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Header
from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from api.chat import run_stream
from api.deps import HostDep, TenantDep
from api.failures import Malformed, from_validation
from api.forms import opened, parsed
from api.jobs import Job, answered, wait_of
from api.ownership import name_of
from api.uploads import Field as FormField
from api.uploads import parts
from graphs.catalog import Ask
from graphs.video.options import Analysis, Content, Description, Summary, Task, Written, spelling
from knowledge.library import LIBRARY
from tools.bench import Bench
from tools.errors import InvalidInput, SutradharError, UnsupportedMedia
from tools.media.probe import Probe
from tools.media.reader import probe
from tools.media.store import Media
from tools.settings import Budget, Settings

router = APIRouter(prefix="/api/v1/video", tags=["video"])

FILE = "video_file"
_WAIT = 20.0
"""Seconds that an answer is waited for before it becomes a job."""
_PACE = 2.0
"""Seconds that a second of video may take where no budget was given."""
_JSON_BYTES = 64 * 1024


class Sent(BaseModel):
    """`media` is the sha256 of a stored medium, instead of a file. `stream` answers with the run's events."""

    media: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    stream: bool = False


class AnalyzeForm(Sent, Analysis):
    """Analyse a video."""


class DescribeForm(Sent, Description):
    """Describe a video scene by scene."""


class SummarizeForm(Sent, Summary):
    """Summarise a video."""


class ContentForm(Sent, Content):
    """Write from a video."""

    content_type: Annotated[Written, BeforeValidator(spelling)]


@dataclass(frozen=True)
class Film:
    """A stored medium of the caller, and what it is."""

    media: Media
    probe: Probe


_DOORS: tuple[tuple[str, Task, type[Any], str], ...] = (
    ("/analyze", "analyze", AnalyzeForm, "Analyse a video"),
    ("/describe", "describe", DescribeForm, "Describe a video"),
    ("/summarize", "summarize", SummarizeForm, "Summarise a video"),
    ("/generate-content", "generate", ContentForm, "Write content from a video"),
)


def _endpoint(task: Task, form: type[Any], title: str) -> Any:
    async def answer(
        request: Request,
        host: HostDep,
        tenant: TenantDep,
        accept: Annotated[str, Header()] = "",
        prefer: Annotated[str, Header(max_length=200)] = "",
    ) -> Response:
        film, given = await received(request, host.bench.serving(tenant), form)
        options = given.model_dump(mode="json", exclude={"media", "stream"}, exclude_unset=True)
        ask = Ask(
            question=f"{title}: {film.media.name}", sources=[film.media.sha256], options={**options, "task": task}
        )
        streams = given.stream or "text/event-stream" in accept
        if streams:
            host.streams.admit()
        budget = time_for(host.settings, film.probe, given.budget)
        run = await host.runs.start("video", ask, tenant=tenant, budget=budget)
        if not streams:
            return await answered(host, tenant, run, wait_of(prefer, _WAIT))
        row = await host.runs.run(run, tenant=tenant)
        return run_stream(host, tenant, run, headers={"X-Run-Id": run, "X-Thread-Id": row.thread})

    answer.__doc__ = form.__doc__
    return answer


def time_for(settings: Settings, probe: Probe, budget: float | None) -> Budget:
    """A run's budget: time to watch so much video, then as long as any run has."""
    watching = probe.duration * (budget / 3600 if budget else _PACE)
    usual = settings.budget
    return usual.model_copy(update={"seconds": usual.seconds + watching})


async def received(request: Request, bench: Bench, form: type[Any]) -> tuple[Film, Any]:
    """The form and its film, which is the caller's from now on; what is refused leaves nothing behind."""
    values, media = await _read(request, bench)
    try:
        given: Any = parsed(form, values)
        if (media is None) == (given.media is None):
            raise InvalidInput("Send one video.", remedy=f"As the file {FILE!r}, or as the sha256 `media`.", param=FILE)
        if media is None:
            name = await name_of(bench, given.media)
            media = (await bench.media.get(given.media)).model_copy(update={"name": name})
        film = Film(media, await looked_at(bench, media))
    except SutradharError:
        if media is not None:
            await _let_go(bench, media)
        raise
    if given.media is None:
        await bench.part(LIBRARY).own(bench.tenant, media.sha256, media.name)
    return film, given


async def looked_at(bench: Bench, media: Media) -> Probe:
    """What a stored medium is; raises `UnsupportedMedia` or `TooLarge`."""
    found = await probe(await bench.media.local(media.sha256), bench.settings.limits)
    if found.video is None and not found.audio:
        raise UnsupportedMedia(f"{media.name!r} has neither a picture nor a sound.", remedy="Send another file.")
    return found


async def _let_go(bench: Bench, media: Media) -> None:
    """Forget the bytes of a refused upload, unless somebody has the same ones."""
    if media.sha256 not in await bench.part(LIBRARY).held():
        await bench.media.delete(media.sha256)


async def _read(request: Request, bench: Bench) -> tuple[dict[str, list[str]], Media | None]:
    """The fields of a form or of a JSON object, and the file, streamed to the store."""
    if request.headers.get("content-type", "").startswith("application/json"):
        return await _json(request), None
    values, media = dict[str, list[str]](), None
    try:
        async for part in parts(request):
            if isinstance(part, FormField):
                values.setdefault(part.name.removesuffix("[]"), []).append(part.value)
            elif part.name != FILE or media is not None:
                raise InvalidInput(f"{part.name[:80]!r} is one file too many.", remedy=f"Send one, as {FILE!r}.")
            else:
                media = await bench.media.put(opened(part), name=part.filename[:200] or "video")
                # the store may know the same bytes under another name
                media = media.model_copy(update={"name": part.filename.replace("\\", "/").rpartition("/")[2][:200]})
    except SutradharError:
        if media is not None:
            await _let_go(bench, media)
        raise
    return values, media


async def _json(request: Request) -> dict[str, list[str]]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _JSON_BYTES:
            raise Malformed(f"The body is longer than {_JSON_BYTES} bytes.")
    try:
        given = _Object.model_validate_json(body)
    except ValidationError as error:
        raise from_validation(error) from error
    return {name: each if isinstance(each, list) else [each] for name, each in (given.model_extra or {}).items()}


class _Object(BaseModel, extra="allow"):
    """Any JSON object; its form says what may be in it."""


def _openapi(form: type[BaseModel]) -> dict[str, Any]:
    schema = form.model_json_schema()
    file = {FILE: {"type": "string", "format": "binary"}}
    whole = {**schema, "properties": {**file, **schema["properties"]}}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": whole}}}}


for _path, _task, _form, _title in _DOORS:
    router.post(
        _path,
        summary=_title,
        response_model=Job,
        responses={200: {"content": {"text/event-stream": {}}}, 202: {"model": Job}},
        openapi_extra=_openapi(_form),
    )(_endpoint(_task, _form, _title))

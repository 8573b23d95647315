"""Library: upload, live progress by stage, a timeline of what is remembered, and forgetting."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from nicegui import events, ui

from api.console import theme
from api.console.player import Player
from api.ingests import forget, submit
from graphs.events import Citation
from knowledge.library import LIBRARY, Source, Stage
from knowledge.segment import Segment, moment
from knowledge.store import STORE, Where
from tools.errors import SutradharError

if TYPE_CHECKING:
    from api.console.app import Visit

_REFRESH_SECONDS = 1.0
_MOST_SEGMENTS = 3_000


async def build(visit: Visit) -> None:
    """The page."""
    with ui.element("div").classes("two no-player") as frame:
        with ui.element("div"):
            with theme.card("Add", "films, sound, documents, pictures"):
                _uploader(visit)
            with theme.card("Sources"):
                shelf = ui.element("div").classes("sources")
        player = Player(frame)
    view = _Shelf(visit, shelf, player)
    await view.refresh()
    ui.timer(_REFRESH_SECONDS, view.refresh)


def _uploader(visit: Visit) -> None:
    base = (
        ui.input("Knowledge base", value="default")
        .props("dense outlined")
        .style("max-width: 260px; margin-bottom: 10px")
    )

    async def take(upload: events.UploadEventArguments) -> None:
        try:
            media = await visit.bench.media.put(upload.file.iterate(), name=upload.file.name)
            await submit(visit.host, media, knowledge_base=base.value or "default", tenant=visit.tenant)
            ui.notify(f"{media.name} is being ingested.", color="positive")
        except SutradharError as error:
            ui.notify(str(error), color="negative", timeout=0, close_button="OK")

    limit = visit.host.settings.limits.upload_bytes
    ui.upload(on_upload=take, multiple=True, auto_upload=True, max_file_size=limit, label="Drop files here").props(
        "flat bordered"
    ).style("width: 100%")


class _Shelf:
    """The sources, redrawn only when one has changed."""

    def __init__(self, visit: Visit, shelf: ui.element, player: Player) -> None:
        self._visit, self._shelf, self._player = visit, shelf, player
        self._shown: list[Source] | None = None
        self._opened: str | None = None

    async def refresh(self) -> None:
        sources = await self._visit.bench.part(LIBRARY).sources(self._visit.tenant)
        if sources == self._shown or self._shelf.is_deleted:
            return
        self._shown = sources
        self._shelf.clear()
        with self._shelf:
            if not sources:
                theme.empty("Nothing here yet.", "video_library")
            for source in sources:
                await self._source(source)

    async def _source(self, source: Source) -> None:
        with ui.element("div").classes("source"):
            with ui.element("div").classes("source-head"):
                ui.label(source.name).classes("source-name")
                ui.label(source.state).classes(f"badge {source.state}")
                ui.label(source.knowledge_base).classes("badge")
                ui.space()
                if source.state == "ready":
                    ui.button(icon="timeline", on_click=lambda: self._toggle(source)).props(
                        "flat round dense aria-label=Timeline"
                    ).classes("quiet")
                ui.button(icon="delete_outline", on_click=lambda: self._forget(source)).props(
                    "flat round dense aria-label=Forget"
                ).classes("quiet")
            ui.label(_facts(source)).classes("faint")
            if source.reason:
                ui.label(source.reason).classes("notice")
            if source.state != "ready":
                with ui.element("div").classes("stages"):
                    for name, stage in source.stages.items():
                        _stage(name, stage)
            elif _key(source) == self._opened:
                await self._timeline(source)

    async def _toggle(self, source: Source) -> None:
        self._opened = None if self._opened == _key(source) else _key(source)
        self._shown = None
        await self.refresh()

    async def _timeline(self, source: Source) -> None:
        where = Where(knowledge_bases=[source.knowledge_base], sources=[source.sha256])
        store = self._visit.bench.part(STORE)
        segments = await store.scroll(self._visit.tenant, where, limit=_MOST_SEGMENTS)
        lanes = dict[str, list[Segment]]()
        for segment in segments:
            lanes.setdefault(segment.modality, []).append(segment)
        length = source.duration or max((each.end or each.start or 0.0 for each in segments), default=0.0) or 1.0
        by_id = {str(each.id): each for each in segments}

        def seek(event: events.GenericEventArguments) -> None:
            segment = by_id.get(str(event.args))
            if segment is not None:
                self._player.open(_citation(source, segment))

        for modality, found in lanes.items():
            with ui.element("div").classes("lane"):
                ui.label(modality.replace("_", " "))
                marks = "".join(_mark(each, length) for each in found)
                ui.html(marks, sanitize=False).classes("track").on(
                    "click", seek, js_handler="(e) => { const id = e.target.dataset.id; if (id) emit(id); }"
                )

    async def _forget(self, source: Source) -> None:
        with ui.dialog() as dialog, ui.card():
            ui.label(f"Forget “{source.name}” and all that is remembered of it?")
            with ui.row():
                ui.button("Forget", color="negative", on_click=lambda: dialog.submit(True)).props("unelevated")
                ui.button("Keep", on_click=lambda: dialog.submit(False)).props("flat")
        if await dialog:
            host, tenant = self._visit.host, self._visit.tenant
            await forget(host, source.sha256, knowledge_base=source.knowledge_base, tenant=tenant)
            await self.refresh()


def _key(source: Source) -> str:
    return f"{source.knowledge_base}/{source.sha256}"


def _facts(source: Source) -> str:
    facts = [str(source.kind)]
    if source.duration:
        facts.append(moment(source.duration))
    if source.pages:
        facts.append(f"{source.pages} pages")
    counts = sorted(source.segments.items(), key=lambda each: -each[1])
    return " · ".join(facts + [f"{count} {modality.replace('_', ' ')}" for modality, count in counts])


def _stage(name: str, stage: Stage) -> None:
    fraction = 1.0 if stage.state in ("done", "skipped", "failed") else stage.fraction or 0.0
    with ui.element("div").classes("stage"):
        with ui.element("div").classes("stage-line"):
            ui.label(name.replace("_", " "))
            ui.label(f"{stage.seconds:.1f} s" if stage.seconds is not None else stage.state)
        with ui.element("div").classes(f"meter {stage.state}"):
            ui.element("div").style(f"width: {fraction:.0%}")
        if stage.note:
            ui.label(stage.note)


def _mark(segment: Segment, length: float) -> str:
    """One segment on its lane. Every value is ours or escaped: the text is a stranger's."""
    start = segment.start if segment.start is not None else float((segment.page or 1) - 1)
    end = segment.end if segment.end is not None else start + (1.0 if segment.page else 0.5)
    left, width = min(100 * start / length, 99.5), max(100 * (end - start) / length, 0.3)
    title = escape(f"{moment(start)}  {segment.text[:160]}", quote=True)
    return f'<i data-id="{segment.id}" style="left:{left:.3f}%;width:{width:.3f}%" title="{title}"></i>'


def _citation(source: Source, segment: Segment) -> Citation:
    return Citation(
        n=1,
        source=source.name,
        media=source.sha256,
        modality=segment.modality,
        text=segment.text,
        start=segment.start,
        end=segment.end,
        page=segment.page,
        thumbnail=f"/api/v1/media/{segment.image}" if segment.image else None,
    )

"""Video: upload or choose one, watch it being watched, and read what it shows beside the player."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from nicegui import events, ui

from api.console import theme
from api.video import looked_at, time_for
from graphs.catalog import Ask
from graphs.content.kinds import Size
from graphs.events import AgentEvent, Answer, Evidence, Failure, RunFinished, Step
from graphs.temporal.phrases import span
from graphs.video.options import AnalysisType, Detail, Task, Written
from graphs.video.state import Scene, Statement, VideoResult
from knowledge.library import LIBRARY
from knowledge.segment import moment
from tools.errors import SutradharError
from tools.events import ModelEvent, ToolEvent
from tools.media.store import Media

if TYPE_CHECKING:
    from api.console.app import Visit

_TASKS: dict[Task, str] = {"describe": "Describe", "summarize": "Summarise", "analyze": "Analyse", "generate": "Write"}
_MORE: dict[Task, tuple[str, str, tuple[str, ...]]] = {
    "describe": ("detail_level", "Detail", get_args(Detail)),
    "summarize": ("summary_length", "Length", get_args(Size)),
    "analyze": ("analysis_type", "Analysis", get_args(AnalysisType)),
    "generate": ("content_type", "Kind", get_args(Written)),
}
_USUAL = {"detail_level": "medium", "summary_length": "medium", "analysis_type": "comprehensive"}


async def build(visit: Visit) -> None:
    """The page."""
    with ui.element("div").classes("film"):
        with ui.element("div"):
            with theme.card("Video", "a film or a recording"):
                desk = _Desk(visit)
            told = ui.element("div")
        with ui.element("aside").classes("side"):
            screen = _Screen()
    desk.show_on(screen, told)
    await desk.offer()


class _Screen:
    """The player, and the scenes that seek it."""

    def __init__(self) -> None:
        self._film = ui.element("div")
        self._scenes = ui.element("div").classes("scenes")
        self._video: ui.video | None = None
        with self._film:
            theme.empty("The video is shown here.", "movie")

    def load(self, sha: str) -> None:
        self._film.clear()
        self._scenes.clear()
        with self._film:
            self._video = ui.video(f"/api/v1/media/{sha}").props("playsinline preload=metadata")

    def seek(self, at: float) -> None:
        if self._video is not None:
            self._video.seek(at)
            self._video.play()

    def list(self, scenes: list[Scene]) -> None:
        self._scenes.clear()
        with self._scenes:
            for each in scenes:
                self._scene(each)

    def _scene(self, scene: Scene) -> None:
        with ui.element("div").classes("scene").on("click", partial(self.seek, scene.start)):
            if scene.image:
                ui.element("img").props(f'src="/api/v1/media/{scene.image}" loading=lazy alt=""')
            else:
                ui.element("div")
            with ui.element("div"):
                ui.label(span(scene.start, scene.end)).classes("where")
                ui.label(" ".join(each.text for each in scene.statements[:3])).classes("said")


class _Desk:
    """Which video, what is to be done, how far it is, and what came of it."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._names = dict[str, str]()
        limit = visit.host.settings.limits.upload_bytes
        ui.upload(on_upload=self._take, auto_upload=True, max_file_size=limit, label="Drop a video here").props(
            "flat bordered"
        ).style("width: 100%")
        with ui.element("div").classes("knobs"):
            self._source = ui.select({}, label="Video", on_change=self._chosen)
            self._task = ui.select(dict(_TASKS), value="describe", label="What", on_change=self._narrow)
            self._more = ui.select(list(_MORE["describe"][2]), value="medium", label="Detail")
            self._focus = ui.input("Focus, between commas").props("clearable")
        self._focus.set_visibility(False)
        self._button = ui.button("Watch", icon="visibility", on_click=self._watch).props("no-caps unelevated")
        self._state = ui.label().classes("waiting")
        self._meters = ui.element("div").classes("stages")
        self._stages = dict[str, _Meter]()
        self._screen: _Screen | None = None
        self._told: ui.element | None = None

    def show_on(self, screen: _Screen, told: ui.element) -> None:
        self._screen, self._told = screen, told

    async def offer(self) -> None:
        """The tenant's videos and recordings."""
        sources = await self._visit.bench.part(LIBRARY).sources(self._visit.tenant)
        self._names |= {each.sha256: each.name for each in sources if each.kind in ("video", "audio")}
        self._source.set_options(dict(self._names), value=self._source.value)

    async def _take(self, upload: events.UploadEventArguments) -> None:
        bench = self._visit.bench
        try:
            media = await bench.media.put(upload.file.iterate(), name=upload.file.name)
            await looked_at(bench, media)
        except SutradharError as error:
            ui.notify(str(error), color="negative", timeout=0, close_button="OK")
            return
        await bench.part(LIBRARY).own(bench.tenant, media.sha256, upload.file.name)
        self._names[media.sha256] = upload.file.name
        self._source.set_options(dict(self._names), value=media.sha256)

    def _chosen(self) -> None:
        if self._screen is not None and self._source.value:
            self._screen.load(self._source.value)

    def _narrow(self) -> None:
        name, label, choices = _MORE[self._task.value]
        self._more.props(f'label="{label}"')
        self._more.set_options(list(choices), value=_USUAL.get(name, choices[0]))
        self._focus.set_visibility(self._task.value == "summarize")

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"task": self._task.value, _MORE[self._task.value][0]: self._more.value}
        if self._task.value == "summarize" and self._focus.value:
            options["focus_areas"] = self._focus.value
        return options

    async def _watch(self) -> None:
        if not self._source.value:
            ui.notify("Upload or choose a video first.", color="negative")
            return
        self._button.disable()
        self._begin()
        try:
            await self._follow(await self._start())
        except SutradharError as error:
            self._say(str(error))
        if not self._button.is_deleted:
            self._button.enable()

    async def _start(self) -> str:
        bench, sha = self._visit.bench, self._source.value
        media = Media.model_validate((await bench.media.get(sha)).model_copy(update={"name": self._names[sha]}))
        budget = time_for(self._visit.host.settings, await looked_at(bench, media), None)
        ask = Ask(question=f"{_TASKS[self._task.value]}: {media.name}", sources=[sha], options=self._options())
        return await self._visit.host.runs.start("video", ask, tenant=self._visit.tenant, budget=budget)

    async def _follow(self, run: str) -> None:
        """Show the run's events; it goes on when the visitor leaves."""
        async for _, event in self._visit.host.runs.stream(run, tenant=self._visit.tenant):
            if self._state.is_deleted:
                return
            self._happened(event)

    def _happened(self, event: AgentEvent) -> None:
        match event:
            case ToolEvent():
                self._meter(event)
            case ModelEvent():
                self._say("" if event.state in ("ready", "unloaded") else f"{event.state} {event.model} …")
            case Step(state="started"):
                self._say(f"{event.node} …")
            case Evidence():
                self._say(f"{len(event.moments)} moments so far")
            case Failure():
                self._say(f"{event.message} {event.remedy}")
            case Answer():
                self._show(event)
            case RunFinished():
                self._say(f"{event.status} after {event.usage.seconds:.1f} s {event.reason}".strip())

    def _begin(self) -> None:
        self._meters.clear()
        self._stages.clear()
        self._say("starting …")
        if self._told is not None:
            self._told.clear()

    def _say(self, text: str) -> None:
        if not self._state.is_deleted:
            self._state.text = text

    def _meter(self, event: ToolEvent) -> None:
        stage = event.tool.removeprefix("watch.")
        if not event.tool.startswith("watch."):
            return
        if stage not in self._stages:
            with self._meters:
                self._stages[stage] = _Meter(stage)
        self._stages[stage].show(event)

    def _show(self, answer: Answer) -> None:
        assert self._told is not None  # noqa: S101 set when the page is built
        with self._told:
            if answer.result is None:
                theme.empty(answer.text)
                return
            result = VideoResult.model_validate(answer.result)
            if self._screen is not None:
                self._screen.list(_listed(result))
            with theme.card(result.title, f"{_TASKS[result.task]} · {moment(result.duration)}"):
                if result.task == "generate":
                    _piece(answer.text, result.content_type)
                else:
                    self._statements(result)
                _limits(result)
            if answer.artefacts:
                with theme.card("Files"), ui.element("div").classes("files"):
                    for each in answer.artefacts:
                        ui.link(each.name, f"/api/v1/media/{each.media}", new_tab=True)

    def _statements(self, result: VideoResult) -> None:
        for each in result.overview:
            self._statement(each)
        chapters = result.chapters if result.task == "summarize" and len(result.chapters) > 1 else []
        groups = [(f"{span(each.start, each.end)} {each.title}", each.statements) for each in chapters]
        groups += [(each.heading, each.statements) for each in result.sections]
        if result.task == "describe":
            groups += [
                (f"Scene {each.number}, {span(each.start, each.end)}", each.statements) for each in result.scenes
            ]
        for heading, statements in groups:
            ui.label(heading).classes("card-title").style("margin-top: 14px")
            for each in statements:
                self._statement(each)

    def _statement(self, statement: Statement) -> None:
        first = statement.moments[0]
        with ui.element("div").classes("said-at"):
            chip = ui.element("button").classes("chip").props("type=button")
            if self._screen is not None:
                chip.on("click", partial(self._screen.seek, first.start))
            with chip:
                ui.label(moment(first.start))
            ui.label(statement.text)


class _Meter:
    """How far one stage of the watching is."""

    def __init__(self, stage: str) -> None:
        with ui.element("div").classes("stage"):
            with ui.element("div").classes("stage-line"):
                ui.label(stage.replace("_", " "))
                self._note = ui.label()
            with ui.element("div").classes("meter running") as self._bar:
                self._fill = ui.element("div").style("width: 0%")

    def show(self, event: ToolEvent) -> None:
        done = event.state in ("finished", "failed")
        self._fill.style(f"width: {1.0 if done else event.fraction or 0.0:.0%}")
        self._note.text = event.note[:40] or (f"{event.fraction:.0%}" if event.fraction is not None else "")
        if done:
            self._bar.classes(remove="running", add="done" if event.state == "finished" else "failed")


def _listed(result: VideoResult) -> list[Scene]:
    """What stands beside the player: the scenes, or the chapters where there are no scenes."""
    return result.scenes or [
        Scene(number=each.number, start=each.start, end=each.end, image=each.image, statements=each.statements)
        for each in result.chapters
    ]


def _piece(text: str, kind: str) -> None:
    if kind == "subtitles":
        ui.label(text).classes("json")
    else:
        ui.markdown(text).classes("prose")


def _limits(result: VideoResult) -> None:
    if result.limits:
        with ui.expansion("What was not looked at or left out").props("dense").classes("steps"):
            for each in result.limits:
                ui.label(each).classes("faint")

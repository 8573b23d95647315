"""Chat: streamed words, folded steps, evidence, and citations that seek the player."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from nicegui import background_tasks, ui

from api.console import theme
from api.console.player import Player, place
from graphs.catalog import Ask
from graphs.events import AgentEvent, Answer, Citation, Evidence, Failure, Question, RunFinished, Step, Token
from tools.errors import SutradharError
from tools.events import ModelEvent, ToolEvent

if TYPE_CHECKING:
    from api.console.app import Visit

_REDRAW = 0.06


class AnswerView:
    """One answer while it grows."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self.reply: Callable[[str], Awaitable[None]] | None = None
        self._text, self._drawn, self._began = "", 0.0, time.monotonic()
        self._count = 0
        with ui.element("article").classes("answer"):
            self._steps = ui.expansion("Thinking…").props("dense").classes("steps")
            self._evidence = ui.element("div").classes("evidence")
            self._waiting = ui.label().classes("waiting")
            self._prose = ui.markdown().classes("prose")
            self._chips = ui.element("div").classes("chips")
            self._notices = ui.element("div")

    def take(self, event: AgentEvent) -> None:
        """Show one event."""
        match event:
            case Token():
                self._say(event.text)
            case Step() if event.state != "started":
                self._step(event)
            case Step():
                self._steps.text = f"{event.node}…"
            case Evidence():
                self._show_evidence(event.moments)
            case ModelEvent():
                self._waiting.text = _wait(event)
            case ToolEvent(state="progress"):
                self._waiting.text = f"{event.tool}: {event.note}" if event.note else ""
            case Answer():
                self._answer(event)
            case Question():
                self._ask_back(event)
            case Failure():
                self._notice(f"{event.message} {event.remedy}")
            case RunFinished():
                self._finish(event)

    def fail(self, error: SutradharError) -> None:
        self._notice(str(error))
        self._steps.text = "Not started"

    def _say(self, text: str) -> None:
        self._text += text
        self._waiting.text = ""
        now = time.monotonic()
        if now - self._drawn >= _REDRAW:
            self._prose.set_content(self._text)
            self._drawn = now

    def _step(self, step: Step) -> None:
        self._count += 1
        with self._steps, ui.element("div").classes(f"step {step.state}"):
            ui.label(step.node.replace("_", " "))
            ui.label(step.note)
            ui.label(f"{step.ms:,.0f} ms" if step.ms is not None else "").classes("ms")

    def _show_evidence(self, moments: list[Citation]) -> None:
        self._evidence.clear()
        with self._evidence:
            for each in moments[:12]:
                self._card(each)

    def _card(self, citation: Citation) -> None:
        with ui.element("div").classes("moment").on("click", lambda: self._player.open(citation)):
            if citation.thumbnail:
                ui.element("img").props(f'src="{citation.thumbnail}" loading=lazy alt=""')
            with ui.element("div").classes("text"):
                ui.label(place(citation)).classes("where")
                ui.label(citation.text).classes("said")
                ui.label(citation.source).classes("faint")

    def _answer(self, answer: Answer) -> None:
        self._text = answer.text
        self._prose.set_content(self._text)
        self._chips.clear()
        with self._chips:
            for each in answer.citations:
                chip = ui.element("button").classes("chip").props("type=button")
                chip.on("click", lambda each=each: self._player.open(each))
                with chip:
                    ui.label(f"[{each.n}] {each.source} · {place(each)}")

    def _finish(self, finished: RunFinished) -> None:
        self._prose.set_content(self._text)
        self._waiting.text = ""
        seconds = time.monotonic() - self._began if not finished.usage.seconds else finished.usage.seconds
        usage = finished.usage
        tokens = f", {usage.prompt_tokens + usage.completion_tokens} tokens" if usage.chat_calls else ""
        self._steps.text = f"{self._count} steps, {seconds:.1f} s{tokens}"
        if finished.reason:
            self._notice(finished.reason)

    def _ask_back(self, question: Question) -> None:
        """Show what the run asks, with a button for each answer, or a field where any will do."""
        with self._notices, ui.element("div").classes("notice") as asked:
            ui.label(question.text)

            async def answer(value: str) -> None:
                asked.delete()
                if self.reply is not None and value:
                    await self.reply(value)

            for option in question.options:
                ui.button(option, on_click=lambda option=option: answer(option)).props("dense no-caps outline")
            if not question.options:
                text = ui.input().props("dense outlined")
                text.on("keydown.enter", lambda: answer(text.value or ""))

    def _notice(self, text: str) -> None:
        with self._notices:
            ui.label(text).classes("notice")


def _wait(event: ModelEvent) -> str:
    if event.state in ("ready", "unloaded"):
        return ""
    expected = f", about {event.seconds:.0f} s" if event.seconds else ""
    done = f" {event.fraction:.0%}" if event.fraction is not None else ""
    return f"{event.state} {event.model} on {event.device}{done}{expected}"


class Conversation:
    """The chat page of one visitor."""

    def __init__(self, visit: Visit, thread: str, talk: ui.element, player: Player) -> None:
        self._visit, self._thread, self._talk, self._player = visit, thread, talk, player
        self._run = ""
        self.asking = False
        self.welcome: ui.element | None = None

    async def replay(self) -> None:
        """Show what was said in this thread before."""
        runs = self._visit.host.runs
        for row in await runs.runs(self._thread, tenant=self._visit.tenant):
            view = self._ask_view(Ask.model_validate_json(row.ask).question)
            if row.status == "running":
                self._run, self.asking = row.run, True
                background_tasks.create(self._follow(row.run, view), name=f"follow-{row.run}")
                return
            seen = 0
            async for seen, event in runs.stream(row.run, tenant=self._visit.tenant):  # noqa: B007
                if row.status == "waiting" or not isinstance(event, Question):
                    view.take(event)
            view.reply = partial(self._reply, row.run, view, seen)

    async def ask(self, question: str, base: str | None) -> None:
        """Start a run and show it while it lasts."""
        if not question.strip() or self.asking:
            return
        self.asking = True
        view = self._ask_view(question)
        ui.run_javascript("window.scrollTo({top: document.body.scrollHeight, behavior: 'smooth'})")
        ask = Ask(question=question[:20_000], knowledge_bases=[base] if base else [])
        runs = self._visit.host.runs
        try:
            self._run = await runs.start("sutradhar", ask, thread=self._thread or None, tenant=self._visit.tenant)
            self._thread = (await runs.run(self._run, tenant=self._visit.tenant)).thread
            ui.run_javascript(f"history.replaceState(null, '', '/?thread={self._thread}')")
            await self._follow(self._run, view)
        except SutradharError as error:
            view.fail(error)
        finally:
            self.asking = False

    async def stop(self) -> None:
        if self.asking and self._run:
            await self._visit.host.runs.cancel(self._run, tenant=self._visit.tenant)

    async def _follow(self, run: str, view: AnswerView, after: int = 0) -> None:
        async for seen, event in self._visit.host.runs.stream(run, after, tenant=self._visit.tenant):
            if self._talk.is_deleted:
                # the visitor left; the run goes on
                return
            with self._talk:
                view.take(event)
            view.reply = partial(self._reply, run, view, seen)
        self.asking = False

    async def _reply(self, run: str, view: AnswerView, seen: int, value: str) -> None:
        """Answer what the run asked, and show how it goes on."""
        try:
            await self._visit.host.runs.resume(run, value, tenant=self._visit.tenant)
        except SutradharError as error:
            view.fail(error)
            return
        self._run, self.asking = run, True
        await self._follow(run, view, seen)

    def _ask_view(self, question: str) -> AnswerView:
        if self.welcome is not None:
            self.welcome.delete()
            self.welcome = None
        with self._talk:
            ui.label(question).classes("asked")
            return AnswerView(self._player)


async def build(visit: Visit, thread: str) -> None:
    """The page."""
    from knowledge.library import LIBRARY

    threads = await visit.host.runs.threads(tenant=visit.tenant, limit=40)
    known = any(each.thread == thread for each in threads)
    sources = await visit.bench.part(LIBRARY).sources(visit.tenant)
    bases = sorted({each.knowledge_base for each in sources})
    with ui.element("div").classes("chat no-player") as frame:
        with ui.element("nav").classes("threads"):
            ui.link("+ New chat", "/").classes("thread where")
            for each in threads:
                title = Ask.model_validate_json(each.ask).question[:60]
                here = " here" if each.thread == thread else ""
                ui.link(title, f"/?thread={each.thread}").classes(f"thread{here}")
        talk = ui.element("div").classes("talk")
        conversation = Conversation(visit, thread if known else "", talk, Player(frame))
    _composer(conversation, bases)
    if known:
        await conversation.replay()
    else:
        told = (
            "Ask about what was said, shown or written."
            if sources
            else ("Nothing is remembered yet. Add a film or a document in the library, then ask about it.")
        )
        with talk:
            conversation.welcome = theme.empty(told, "forum" if sources else "movie")


def _composer(conversation: Conversation, bases: list[str]) -> None:
    with ui.element("div").classes("composer"), ui.element("div").classes("composer-in"):
        question = ui.textarea(placeholder="Ask about what was said, shown or written…").props(
            "borderless autogrow dense aria-label=Question rows=1"
        )
        base = ui.select(bases, value=None, clearable=True, label="All").props("dense borderless options-dense")
        base.set_visibility(len(bases) > 1)

        async def send() -> None:
            text, question.value = question.value or "", ""
            await conversation.ask(text, base.value)

        question.on("keydown.enter.exact.prevent", send)
        ui.button(icon="stop", on_click=conversation.stop).props(
            "flat round dense aria-label=Stop"
        ).bind_visibility_from(conversation, "asking")
        ui.button(icon="arrow_upward", on_click=send).props("round dense unelevated aria-label=Send")

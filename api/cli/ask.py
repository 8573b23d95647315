"""`sutradhar ask`: live steps, streamed words, citations as `file 00:07-00:12`."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import JsonValue, TypeAdapter, ValidationError
from rich.markup import escape

from api.cli.edge import err, out, say_json
from api.cli.host import RunningHost, running_host
from graphs.events import (
    AGENT_EVENT,
    AgentEvent,
    Answer,
    Citation,
    Evidence,
    Failure,
    RunFinished,
    RunStarted,
    Step,
    Token,
)
from graphs.events import Question as Waiting
from knowledge.segment import moment
from tools.bench import Bench
from tools.errors import InvalidInput, from_body
from tools.events import ModelEvent, ToolEvent
from tools.settings import Settings

if TYPE_CHECKING:
    from graphs.runs import Runs


@dataclass(frozen=True)
class Question:
    text: str
    knowledge_bases: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    graph: str = "sutradhar"
    options: dict[str, JsonValue] = field(default_factory=dict)


def options_of(text: str, pairs: list[str]) -> dict[str, JsonValue]:
    """An agent's options out of a JSON object and `key=value` pairs, which win; lists and objects are JSON."""
    try:
        options = TypeAdapter(dict[str, JsonValue]).validate_json(text)
    except ValidationError as error:
        raise InvalidInput(f"{text[:80]!r} is no JSON object.", remedy='Write {"key": "value"}.') from error
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise InvalidInput(f"{pair[:80]!r} sets nothing.", remedy="Write --set key=value.")
        try:
            options[key.strip()] = json.loads(value) if value.lstrip()[:1] in ("[", "{") else value
        except ValueError as error:
            raise InvalidInput(f"The value of {key!r} is no JSON: {error}.") from error
    return options


@dataclass
class Told:
    """What a run said, gathered for the end."""

    answer: Answer | None = None
    finished: RunFinished | None = None
    failure: Failure | None = None
    steps: list[Step] = field(default_factory=list)
    speaking: bool = False
    run: str = ""
    question: Waiting | None = None

    def take(self, event: AgentEvent) -> None:
        match event:
            case Answer():
                self.answer = event
            case RunFinished():
                self.finished = event
            case Failure():
                self.failure = event
            case RunStarted():
                self.run = event.run
            case Waiting():
                self.question = event
            case Step() if event.state != "started":
                self.steps.append(event)


async def ask(settings: Settings, question: Question, *, as_json: bool, whole: bool = False) -> None:
    """Ask the running host, or work alone when there is none; `whole` also tells what was made beside the prose."""
    started = time.perf_counter()
    told = await hear(settings, question, aloud=not as_json)
    if as_json:
        say_json(summary(told, round(time.perf_counter() - started, 3), whole=whole))


async def hear(settings: Settings, question: Question, *, aloud: bool) -> Told:
    """What a run said to the question, shown as it comes when `aloud`; then a person at a terminal is asked back."""
    async with _asking(settings, question) as asking:
        return await follow(asking, aloud=aloud)


async def follow(asking: "Asking", *, aloud: bool) -> Told:
    """What a run said, to its end; raises what it failed with."""
    started, told = time.perf_counter(), Told()
    events = asking.ask()
    while True:
        async for event in events:
            told.take(event)
            if aloud:
                _show(event, told)
        if told.question is None or not (aloud and sys.stdin.isatty()):
            break
        value = await asyncio.to_thread(_choose, told.question)
        told.question, events = None, asking.resume(told.run, value)
    if told.failure is not None and (told.finished is None or told.finished.status == "failed"):
        raise from_body({"error": told.failure.model_dump()})
    if aloud:
        _conclude(told, time.perf_counter() - started)
    return told


def _choose(question: Waiting) -> str:
    """A person's answer, which must be an option where there are any."""
    while True:
        value = err.input(f"[bold]{escape('/'.join(question.options) or 'answer')}[/bold] > ").strip()
        if value and (not question.options or value in question.options):
            return value


class Asking(Protocol):
    """A host, or this process in its place."""

    def ask(self) -> AsyncIterator[AgentEvent]: ...

    def resume(self, run: str, value: str) -> AsyncIterator[AgentEvent]: ...


@asynccontextmanager
async def _asking(settings: Settings, question: Question) -> AsyncIterator[Asking]:
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(running_host(settings))
        if host is not None:
            yield _OfHost(host, question)
            return
        from api.host import open_alone

        yield _Alone(*await stack.enter_async_context(open_alone(settings)), question)


@dataclass(frozen=True)
class _OfHost:
    host: RunningHost
    question: Question

    def ask(self) -> AsyncIterator[AgentEvent]:
        asked = self.question
        body = {
            "question": asked.text,
            "knowledge_bases": asked.knowledge_bases,
            "sources": asked.sources,
            "graph": asked.graph,
            "options": asked.options,
        }
        return self._events("/api/v1/chat", body)

    def resume(self, run: str, value: str) -> AsyncIterator[AgentEvent]:
        return self._events(f"/api/v1/runs/{run}/resume", {"value": value})

    async def _events(self, path: str, body: dict[str, Any]) -> AsyncIterator[AgentEvent]:
        async for _, data in self.host.stream("POST", path, json=body):
            if "error" in data:
                raise from_body(data)
            yield AGENT_EVENT.validate_python(data)


@dataclass
class _Alone:
    bench: Bench
    runs: "Runs"
    question: Question
    seen: int = 0

    async def ask(self) -> AsyncIterator[AgentEvent]:
        from graphs.catalog import Ask

        given = self.question
        asked = Ask(
            question=given.text,
            knowledge_bases=given.knowledge_bases,
            sources=given.sources,
            options=given.options,
        )
        run = await self.runs.start(given.graph, asked, tenant=self.bench.tenant)
        async for event in self._events(run):
            yield event

    async def resume(self, run: str, value: str) -> AsyncIterator[AgentEvent]:
        await self.runs.resume(run, value, tenant=self.bench.tenant)
        async for event in self._events(run):
            yield event

    async def _events(self, run: str) -> AsyncIterator[AgentEvent]:
        async for number, event in self.runs.stream(run, self.seen, tenant=self.bench.tenant):
            self.seen = number
            yield event


def _show(event: AgentEvent, told: Told) -> None:
    match event:
        case Token():
            told.speaking = True
            # the draft is an aside: what was verified is said at the end, and alone goes to standard output
            err.print(event.text, end="", markup=False, style="dim")
        case Step(state="finished"):
            _aside(told, f"{event.node}  {event.note}  {event.ms:.0f} ms" if event.ms else event.node)
        case ModelEvent():
            wait = f", about {event.seconds:.0f} s" if event.seconds else ""
            _aside(told, f"{event.state} {event.model} on {event.device}{wait}")
        case Evidence():
            _aside(told, f"{len(event.moments)} moments found")
        case ToolEvent(state="finished" | "failed") if event.tool.startswith("watch."):
            _aside(told, f"{event.tool}  {event.note}")
        case Failure():
            _aside(told, event.message)
        case Waiting():
            _aside(told, event.text)


def _aside(told: Told, text: str) -> None:
    if told.speaking:
        err.print()
        told.speaking = False
    err.print(f"[dim]· {escape(text)}[/dim]")


def _conclude(told: Told, seconds: float) -> None:
    answer = told.answer
    if told.speaking:
        err.print()
    if answer is not None:
        out.print(answer.text, markup=False)
        for citation in answer.citations:
            out.print(
                f"  [bold]\\[{citation.n}][/bold] {escape(place(citation))}  [dim]{escape(citation.text[:100])}[/dim]"
            )
        for file in answer.artefacts:
            out.print(f"  {escape(file.name)}  [dim]{file.size:,} bytes, /api/v1/media/{file.media}[/dim]")
    if told.finished is not None and told.finished.reason:
        err.print(f"[yellow]{told.finished.status}[/yellow]: {escape(told.finished.reason)}")
    if told.question is not None:
        err.print(f"The run waits for an answer: POST /api/v1/runs/{told.run}/resume", markup=False)
    err.print(f"[dim]{seconds:.1f} s[/dim]")


def place(citation: Citation) -> str:
    """Where to look: `film.mp4 00:07-00:12` or `report.pdf p. 3`."""
    if citation.start is not None:
        end = citation.end if citation.end is not None else citation.start
        return f"{citation.source} {moment(citation.start)}-{moment(end)}"
    return f"{citation.source} p. {citation.page}" if citation.page is not None else citation.source


def summary(told: Told, seconds: float, *, whole: bool = False) -> dict[str, Any]:
    """What was said, for programs."""
    answer, finished = told.answer, told.finished
    kept = {"n", "source", "modality", "start", "end", "page", "text", "score"}
    made = answer.model_dump(mode="json", include={"agent", "result", "artefacts"}) if answer and whole else {}
    return {
        "answer": answer.text if answer else "",
        "answered": answer.answered if answer else False,
        "citations": [citation.model_dump(include=kept) for citation in answer.citations] if answer else [],
        "steps": [step.model_dump(include={"node", "state", "ms", "note"}) for step in told.steps],
        "seconds": seconds,
        "status": finished.status if finished else "failed",
        "reason": finished.reason if finished else "",
        "usage": finished.usage.model_dump() if finished else {},
        **made,
    }
